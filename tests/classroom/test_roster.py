"""Rosters: which column holds the names, how keys are named, and what is wrong in which row."""

import codecs

import pytest

from openai_local.classroom.roster import Learner, numbered, read_roster, slug
from openai_local.errors import LocalError


@pytest.fixture
def roster(tmp_path):
    """Read a roster with this content: its learners as pairs of key name and shown name."""

    def read(content, encoding="utf-8", **more):
        path = tmp_path / "roster.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        found = read_roster(path, **more)
        return [(learner.name, learner.shown) for learner in found[0]], found[1]

    return read


ADA, JOSE = ("ada-lovelace", "Ada Lovelace"), ("jose-munoz", "José Muñoz")


@pytest.mark.parametrize(
    "content",
    [
        "name\nAda Lovelace\nJosé Muñoz\n",
        "Name;Room\r\nAda Lovelace;1\r\nJosé Muñoz;2\r\n",
        "\ufeffroom,Student\n1,Ada Lovelace\n2,José Muñoz\n",
        "First name\tLast name\nAda\tLovelace\nJosé\tMuñoz\n",
        "Name;Vorname\nLovelace;Ada\nMuñoz;José\n",
        "Nom,Prénom\nLovelace,Ada\nMuñoz,José\n",
        'e-mail,"first, then last name",LEARNER\nx@a.org,,Ada Lovelace\ny@a.org,,  José  Muñoz\n',
        "sep=;\r\nfull_name;team\r\nAda Lovelace;\r\n;\r\n\r\nJosé Muñoz;red\r\n",
        "\n\nparticipant\nAda Lovelace\n\nJosé Muñoz",
    ],
)
def test_names_are_found(roster, content):
    assert roster(content) == ([ADA, JOSE], [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_however_a_spreadsheet_writes_it(roster, encoding):
    assert roster("name;age\nAda Lovelace;36\nJosé Muñoz;20\n", encoding) == ([ADA, JOSE], [])


def test_a_comma_in_a_name(roster):
    quoted = roster('name,room\n"Lovelace, Ada",1\n')
    assert quoted == roster("name\nLovelace, Ada\n") == ([("lovelace-ada", "Lovelace, Ada")], [])


def test_user_names_and_addresses_name_the_key(roster):
    assert roster("user,name\nal36,Ada Lovelace\n,José Muñoz\n")[0] == [("al36", "Ada Lovelace"), JOSE]
    assert roster("E-Mail\nAda.Lovelace@example.org\n")[0] == [("adalovelace", "Ada.Lovelace")]
    assert roster("student id\n00123\n")[0] == [("00123", "00123")]


def test_the_only_column_counts_whatever_it_is_called_and_that_is_said(roster):
    learners, remarks = roster("Teilnehmende;\nAda Lovelace;\n")
    assert learners == [ADA] and "read as the heading: Teilnehmende" in remarks[0]


def test_two_people_of_one_name(roster):
    names = [name for name, _ in roster("name\nAnna\nAnna\nanna 2\nÁnna\nInstructor\n", taken=["instructor"])[0]]
    assert names == ["anna", "anna-2", "anna-2-2", "anna-3", "instructor-2"]


def test_every_script_gets_a_key_name_that_stays(roster):
    learners, _ = roster("name\n张伟\n王芳\nŁukasz Groß-Ørsted\nO\N{RIGHT SINGLE QUOTATION MARK}Neil jr.\n")
    made = {shown: name for name, shown in learners}
    assert (
        made["Łukasz Groß-Ørsted"] == "lukasz-gross-orsted"
        and made["O\N{RIGHT SINGLE QUOTATION MARK}Neil jr."] == "oneil-jr"
    )
    assert made["张伟"].startswith("learner-") and made["张伟"] != made["王芳"]
    assert roster("name,e-mail\nAda,a@b.org\n张伟,zw@b.org\n王芳,\n")[0][1:] == [
        ("zw", "张伟"),
        (made["王芳"], "王芳"),
    ]


def test_a_long_roster_and_a_long_name(roster):
    learners, _ = roster("name\n" + "".join(f"Ann{'a' * 80}\n" for _ in range(1500)))
    assert len({name for name, _ in learners}) == 1500 and all(len(name) <= 64 for name, _ in learners)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("\n  \n", "is empty"),
        ("name\n\n", "no learners"),
        ("room,seat\n1,2\n", "no column of names: its headings are room, seat"),
        ("name,room\nAda,1\n,2\n", "Row 3 of"),
        ("name\nAda\n\n---\n", "Row 4 of"),
        ("name\nAda\n007\n", "Row 3 of"),
        ("name,room\nLovelace, Ada,1\n", "Row 2 of"),
        ("user,name\nada,Ada\nbob,Bob\nADA,Ann\n", "Rows 2 and 4 of"),
        ("name,mail\nAda,a@b.c\nAnn,a@b.c\n", "the same mail: a@b.c"),
        ('name\n"Ada\n' + "x" * 100_000, "Row 2"),
        (b"PK\x03\x04\x00\x00\x00", "not a CSV file"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8\x00", "not a CSV file"),
        (b"name\n\x81\x00\n", "not a CSV file"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(roster, content, said):
    with pytest.raises(LocalError, match=r"roster\.csv") as raised:
        roster(content)
    assert said in str(raised.value)


def test_no_file(tmp_path):
    with pytest.raises(LocalError, match=r"No such file.*--class roster\.csv"):
        read_roster(tmp_path / "none.csv")


def test_learners_without_names():
    assert numbered(30)[0] == Learner("learner-01", "Learner 1") and numbered(30)[29].name == "learner-30"
    assert numbered(100)[0].name == "learner-001"


def test_slugs():
    assert [slug(text) for text in ("  Ada L. ", "--", "a_b", "Straße")] == ["ada-l", "", "a_b", "strasse"]
