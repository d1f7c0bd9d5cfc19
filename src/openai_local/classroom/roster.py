"""Who is in a class, a roster in CSV or so many learners with numbers; and keys for those who have none.

A roster has a row of headings. Names are taken from the first of these that is there: a column of names, first and
last names, user names, e-mail addresses, or the only column. Each learner gets a name for their key, in letters
that every shell and address can write. A user name is that by itself; it, and an e-mail address, may stand in one
row only, as the same person twice would get two keys. Two people may have the same name: the second Anna is
``anna-2``.

A service that is started again with the same roster finds everybody's keys and makes none: only their hashes are
kept, so they can't be shown again.

It is not the lesson's reader of tables: that looks for questions and answers, and is another package.
"""

import codecs
import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from openai_local.classroom.handout import Strip, write_handout
from openai_local.errors import LocalError, bare
from openai_local.home import Home
from openai_local.service.auth import hash_key, make_key
from openai_local.service.store import Store

_NAMES = "name|full name|display name|learner|student|participant|attendee|nom complet|nombre completo"
_FIRST = "first name|firstname|given name|forename|first|vorname|prenom|nombre|nome"
_LAST = "last name|lastname|family name|surname|last|nachname|nom|apellidos|apellido|cognome"
_USERS = "user|user name|username|login|account|id|user id|student id|learner id"
_MAILS = "e mail|email|mail|e mail address|email address"
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SAVE = "Save it as CSV (UTF-8) from the spreadsheet."
_LONGEST = 56  # a key's name has 64 characters at most; this leaves room for a number at its end
_LONGEST_SHOWN = 200
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "ø": "o", "Ø": "o", "ł": "l", "Ł": "l"}
    | {"đ": "d", "Đ": "d", "ð": "d", "Ð": "d", "þ": "th", "Þ": "th"}
    | {"\N{LATIN SMALL LETTER DOTLESS I}": "i"}
)


@dataclass(frozen=True)
class Learner:
    """Somebody in a class: `name` is the name of their key, `shown` is what people call them."""

    name: str
    shown: str


def numbered(count: int) -> list[Learner]:
    """So many learners without names: ``learner-01`` and so on, with as many digits as the last one needs."""
    digits = max(2, len(str(count)))
    return [Learner(f"learner-{at:0{digits}}", f"Learner {at}") for at in range(1, count + 1)]


def read_roster(path: Path, taken: Iterable[str] = ()) -> tuple[list[Learner], list[str]]:
    """The learners of a roster in its order, and what the instructor should know about how it was read.

    The file at `path` is CSV with a row of headings; with commas, semicolons or tabs, in UTF-8, UTF-16 or as Excel
    on Windows writes it. Names that are `taken`, such as the instructor's, no learner gets. Raises `LocalError` if
    it can't be read, has no column of names, or a row is wrong; the message names the row.
    """
    rows = [(number, cells) for number, cells in _rows(path) if any(cells)]
    if not rows:
        raise LocalError(f"{path} is empty. A roster has a heading such as 'name', and a row for each learner.")
    columns = _Columns(path, rows[0][1])
    people = [_person(path, number, cells, columns) for number, cells in rows[1:]]
    if not people:
        raise LocalError(f"{path} has a heading and no learners. Write one in each row below it.")
    for at in (columns.user, columns.mail):
        if at is not None:
            _refuse_doubles(path, at, columns.headings[at], people)
    return _learners(people, set(taken)), columns.remarks


def slug(text: str) -> str:
    """A name in small letters, digits, - and _; accents are left out. Empty if nothing can be written so."""
    folded = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    bare = "".join(letter for letter in folded if not unicodedata.combining(letter)).lower()
    bare = re.sub("['\N{RIGHT SINGLE QUOTATION MARK}.]", "", bare)
    return re.sub(r"[^a-z0-9_]+", "-", bare)[:_LONGEST].strip("-_")


class _Columns:
    """Which cells of a row say who somebody is."""

    def __init__(self, path: Path, headings: list[str]) -> None:
        self.headings, self.remarks = headings, list[str]()
        self.user, self.mail = self._find(_USERS), self._find(_MAILS)
        first, last, whole = self._find(_FIRST), self._find(_LAST), self._find(_NAMES)
        if whole is not None and (last is not None or first is None):
            self.shown = [whole]
        else:  # "Name" beside "Vorname" is the last name
            self.shown = [at for at in (first, whole if last is None else last) if at is not None]
        if not self.shown and self.user is None and self.mail is None:
            self.shown = [self._only(path)]

    def _find(self, known: str) -> int | None:
        plain = [slug(heading).replace("-", " ").replace("_", " ") for heading in self.headings]
        return next((plain.index(wanted) for wanted in known.split("|") if wanted in plain), None)

    def _only(self, path: Path) -> int:
        filled = [heading for heading in self.headings if heading]
        if len(filled) > 1:
            raise LocalError(
                f"{path} has no column of names: its headings are {', '.join(filled[:8])}. Call one of them "
                "'name', or two of them 'first name' and 'last name'."
            )
        self.remarks.append(
            f"The first row of {path.name} was read as the heading: {filled[0]}. If that is a learner, write "
            "'name' in a row above."
        )
        return self.headings.index(filled[0])


@dataclass(frozen=True)
class _Person:
    row: int
    shown: str
    cells: list[str]
    wanted: str  # the name that the key should have


def _person(path: Path, row: int, cells: list[str], columns: _Columns) -> _Person:
    width = len(columns.headings)
    if any(cells[width:]):
        raise LocalError(
            f"Row {row} of {path} has more cells than there are headings. If a comma is part of a name, put the "
            'name in quotation marks: "Lovelace, Ada".'
        )
    cells = [*cells, *[""] * width][:width]
    names = " ".join(filter(None, (cells[at] for at in columns.shown)))
    user = "" if columns.user is None else cells[columns.user]
    mail = "" if columns.mail is None else cells[columns.mail].partition("@")[0]
    shown = names or user or mail
    if not shown:
        raise LocalError(f"Row {row} of {path} has no name. Write one, or delete the row.")
    if len(shown) > _LONGEST_SHOWN:
        raise LocalError(
            f"Row {row} of {path} has a name of {len(shown):,} characters. Perhaps a quotation mark before it is "
            "not closed."
        )
    if not any(letter.isalpha() or (letter.isdigit() and not names) for letter in shown):
        raise LocalError(f"Row {row} of {path} has a name without letters: {shown}. Write the learner's name.")
    # A name in another script gets always the same made-up one, wherever its row stands.
    made_up = f"learner-{hashlib.sha256(shown.encode()).hexdigest()[:6]}"
    return _Person(row, shown, cells, slug(user) or slug(names) or slug(mail) or made_up)


def _refuse_doubles(path: Path, at: int, heading: str, people: list[_Person]) -> None:
    seen: dict[str, int] = {}
    for person in people:
        if not (value := person.cells[at]):
            continue
        if (earlier := seen.setdefault(value.casefold(), person.row)) != person.row:
            raise LocalError(
                f"Rows {earlier} and {person.row} of {path} have the same {heading}: {value}. Delete one of them."
            )


def _learners(people: list[_Person], taken: set[str]) -> list[Learner]:
    learners = []
    for person in people:
        name, number = person.wanted, 1
        while name in taken:
            number += 1
            name = f"{person.wanted}-{number}"
        taken.add(name)
        learners.append(Learner(name, person.shown))
    return learners


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows with their numbers as a spreadsheet counts them; cells without spaces around them."""
    text = _text(path)
    told = re.match(r"sep=(.)\r?\n", text)  # so Excel notes what stands between the cells
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=told[1] if told else _delimiter(text))
    try:
        rows = [(at, [bare(" ".join(cell.split())) for cell in cells]) for at, cells in enumerate(reader, 1)]
    except csv.Error as error:
        raise LocalError(f"Line {reader.line_num} of {path} can't be read as CSV: {error}. {_SAVE}") from None
    return rows[1:] if told else rows


def _delimiter(text: str) -> str:
    """What stands between the headings. A tab if nothing does: then a comma is part of a name."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    return max("\t,;|", key=re.sub(r'"[^"]*"', "", line).count)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LocalError(f"{path} can't be read: {error.strerror}. Name a CSV file:  --class roster.csv") from None
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8")
    for name in (encoding, "cp1252"):
        try:
            text = raw.decode(name)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise LocalError(f"{path} is not a CSV file: it holds bytes that no text has. {_SAVE}")


def make_class_keys(home: Home, url: str, learners: Sequence[Learner], instructor: str) -> tuple[int, Path | None]:
    """Make keys for those of a class who have none, and for its instructor, and write the hand-out with them.

    Returns how many learners got a key, and where the hand-out lies (None if none was needed). Raises
    `LocalError`: the hand-out can't be written; then there are no new keys either.
    """
    with closing(Store(home.database)) as store:
        keys = store.keys()
        known = {key.name for key in keys}
        strips = [
            Strip(learner.name, learner.shown, make_key(store, learner.name))
            for learner in learners
            if learner.name not in known
        ]
        new = len(strips)
        if not any(key.instructor and key.name == instructor for key in keys):
            strips.insert(0, Strip(instructor, instructor, make_key(store, instructor, instructor=True), True))
        try:
            return new, write_handout(home, url, strips) if strips else None
        except OSError as error:
            for strip in strips:
                if key := store.find_key(hash_key(strip.key)):
                    store.revoke(key.id)
            raise LocalError(
                f"The hand-out can't be written to {home.path}: {error.strerror}. No key was made. Make room, and "
                "start the service again."
            ) from None
