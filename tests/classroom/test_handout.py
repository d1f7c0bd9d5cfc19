"""The hand-out: all that a learner needs, on a strip of paper."""

import csv
import html
import re
import stat

import pytest

from browsing import page
from openai_local.classroom.handout import Strip, page_url, write_handout
from openai_local.home import Home

URL = "http://192.0.2.7:8765/v1"


def key(letter):
    return "-".join(("sk", "local", letter * 43))


@pytest.fixture
def write(tmp_path):
    def write(*strips, url=URL):
        path = write_handout(Home.open(tmp_path), url, strips)
        return path, path.read_text(encoding="utf-8")

    return write


ADA = Strip("ada", "Ada Lovelace", key("a"))
CHIEF = Strip("chief", "chief", key("c"), instructor=True)


def seen(text):
    """What stands on the paper, without the room between letters."""
    body = re.sub(r"<style>.*?</style>", "", text, flags=re.S)
    return html.unescape(re.sub(r"<[^>]+>", "", body))


def test_a_strip_has_the_address_the_key_and_what_to_type(write):
    _, text = write(ADA)
    assert "Ada Lovelace (ada)" in seen(text) and f"Key: {ADA.key}" in seen(text)
    assert f"export OPENAI_BASE_URL={URL}\nexport OPENAI_API_KEY={ADA.key}" in seen(text)
    assert f'$env:OPENAI_API_KEY="{ADA.key}"' in seen(text) and page_url(URL) == "http://192.0.2.7:8765/"


def test_the_instructors_strip_comes_first_and_stays_with_them(write):
    _, text = write(ADA, CHIEF)
    first, second = re.findall(r"<section.*?</section>", text, re.S)
    assert CHIEF.key in seen(first) and "Don't hand this out" in first and "chief (chief)" not in seen(first)
    assert ADA.key in seen(second) and "hand this out" not in second
    assert seen(first).count(URL) == seen(second).count(URL) == 3


def test_names_are_text_and_nothing_runs(write):
    _, text = write(Strip("x", '<script>alert("1")</script>&amp;', key("x")), url="http://[2001:db8::7]:1/v1")
    assert "<script" not in text and '<script>alert("1")</script>&amp;' in seen(text)
    assert "OPENAI_BASE_URL='http://[2001:db8::7]:1/v1'" in seen(text)
    assert not re.search(r"\b(src|href|onload|url\()", text)


def test_only_the_owner_reads_it(write):
    path, _ = write(ADA)
    for made in (path, path.with_suffix(".csv")):
        assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_the_same_as_csv(write):
    path, _ = write(CHIEF, ADA, Strip("e", "=1+1", key("e")), Strip("j", "José, Muñoz", key("j")))
    raw = path.with_suffix(".csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf"), "by this mark Excel knows UTF-8"
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert [row["role"] for row in rows] == ["instructor", *["learner"] * 3]
    assert rows[1] == {"learner": "Ada Lovelace", "name": "ada", "role": "learner", "address": URL, "key": ADA.key}
    assert rows[2]["learner"] == "'=1+1" and rows[3]["learner"] == "José, Muñoz"


def test_a_name_stays_in_its_cell_where_semicolons_divide(write):
    """As in Excel in half of the world's countries, where what comes behind one could be a formula."""
    path, _ = write(Strip("x", "Ada;=1+1;@SUM(A1)", key("x")))
    (_, row) = csv.reader(path.with_suffix(".csv").open(encoding="utf-8-sig", newline=""), delimiter=";")
    assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_three_strips_on_a_sheet_and_the_instructors_on_its_own(write):
    path, _ = write(CHIEF, *(Strip(f"l-{at}", f"Learner {at}", key("k")) for at in range(6)))
    with page() as browser:
        browser.goto(path.as_uri())
        browser.locator(".key").first.click(click_count=3)
        selected = browser.evaluate("getSelection().toString()")
        assert CHIEF.key in selected, "what is copied has no spaces in it"
        for paper in ("A4", "Letter"):
            made = browser.pdf(format=paper, prefer_css_page_size=False)
            assert len(re.findall(rb"/Type\s*/Page\b", made)) == 3, paper
