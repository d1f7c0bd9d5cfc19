"""What is secret, and hiding it in a text.

Secret are the keys that the lesson keeps (`openai_lesson.keys`), every key that a client of `openai` was made
with, the value of every environment variable whose name ends in KEY, TOKEN, SECRET or PASSWORD, and whatever
has the shape of one of OpenAI's keys. What was secret once stays so until the kernel ends.

A value counts as ordinary, and is left alone, if it has fewer than six characters (``abc``, ``true``), is a
number of fewer than eight digits, or is a single word of fewer than twelve letters (``production``).

A secret is found as it is, and as HTML, JSON, Python's ``repr`` and addresses write it. It is not found if it
is encoded otherwise (base64), spelled letter by letter, or shown as a picture.
"""

import html
import json
import os
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from openai_lesson import keys

MASK = "[secret]"
SWITCH = "OPENAI_LESSON_MASKING"
"""The environment variable that turns masking off, if it is ``off`` when the kernel starts."""

_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_SHAPE = re.compile(r"sk-[A-Za-z0-9_-]{16,}")
_RANDOM_PART = re.compile(r"[A-Za-z0-9]{20,}|(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{6,}")
_MARKED = re.compile(r"sk-(?:proj|svcacct|admin|None|local)-|.*T3BlbkFJ")
"""What only keys have. Such a key is known even if it stands right behind a letter."""
_OPEN_END = re.compile(r"s(?:k(?:-[A-Za-z0-9_-]{0,300})?)?\Z")
_GLUED = re.compile(r"(?:\\[nrtfv]|\x1b\[[0-9;]*m|%[0-9A-Fa-f]{2}|\\(?:x|u00)[0-9A-Fa-f]{2})\Z")
"""What may stand right before a key although it ends in a letter or a digit."""
_LONG, _PREFIX = 24, 16
"""A long secret is also known by its beginning: tables cut off what is too wide for them."""

Span = tuple[int, int]


class Secrets:
    """All secrets that are known, and a switch: while `shown`, nothing is hidden."""

    def __init__(self) -> None:
        """Knows what is in the environment and in the file with the keys. `refresh` looks again."""
        self.shown = os.environ.get(SWITCH, "").lower() in ("off", "0", "no", "false")
        self.keys: set[str] = set()
        self._seen: set[str] = set()
        self._needles: dict[str, str] = {}
        self._last_characters: set[str] = set()
        self._keys_file: tuple[str, int] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Learn what became secret since the last time."""
        for name in os.environ:
            if name.upper().endswith(_NAMES) and (value := os.environ.get(name, "")) not in self._seen:
                self.add(value, key=name == "OPENAI_API_KEY")
        path = keys.path()
        try:
            state = (str(path), path.stat().st_mtime_ns)
        except OSError:
            return
        if state != self._keys_file:
            self._keys_file = state
            for key in keys.kept():
                self.add(key, key=True)

    def add(self, value: str, *, key: bool = False) -> None:
        """Make a value secret, unless it is an ordinary one. A `key` must not stand in a cell either."""
        self._seen.add(value)
        for secret in (value, *value.splitlines()):
            if _is_ordinary(secret):
                continue
            if key:
                self.keys.add(secret)
            forms = _forms(secret)
            # Paths and sentences are known as a whole only: other texts begin like them.
            long = {form for form in forms if len(form) >= _LONG and not re.search(r"[/\\ ]", form)}
            new = {form[:_PREFIX] if form in long else form: form for form in forms}
            self._needles = {**self._needles, **new}  # a new one, for other threads may be reading
            self._last_characters = self._last_characters.union(*forms)

    def mask(self, text: str) -> str:
        """The text with all secrets hidden."""
        return text if self.shown else cover(text, self.spans(text))

    def spans(self, text: str) -> list[Span]:
        """Where the secrets are, from left to right."""
        merged: list[Span] = []
        for start, end in sorted([*self._known(text), *_of_a_keys_shape(text)]):
            if merged and start < merged[-1][1]:
                start, end = merged[-1][0], max(end, merged.pop()[1])
            merged.append((start, end))
        return merged

    def unfinished(self, text: str) -> int:
        """Where, at the end of a text, a secret may begin that the next text completes; else the text's length."""
        begin = len(text)
        if not text:
            return 0
        last = text[-1]
        if last.isalnum() or last in "_-":
            found = _OPEN_END.search(text[-310:])
            if found and (_MARKED.match(found[0]) or _at_a_beginning(text, begin - len(found[0]))):
                begin -= len(found[0])
        if last in self._last_characters:
            for form in self._needles.values():
                begin = min(begin, len(text) - _overlap(text, form))
        return begin

    def begun(self, text: str) -> bool:
        """Whether a text is so much of a secret that it must not be seen."""
        long = len(text) >= 8 and any(form.startswith(text) for form in self._needles.values())
        return long and not re.fullmatch(r"sk-(?:[a-z]+-?)?[A-Za-z0-9_]{0,3}", text)

    def typed(self, code: str) -> bool:
        """Whether a cell has a literal key in it. ``sk-xxxxxxxxxxxxxxxxxxxx`` stands for none."""
        if self.shown:
            return False
        shapes = (code[start:end] for start, end in _of_a_keys_shape(code))
        return any(len(set(shape)) > 7 for shape in shapes) or any(key in code for key in self.keys)

    def _known(self, text: str) -> Iterator[Span]:
        for needle, form in self._needles.items():
            start = text.find(needle)
            while start >= 0:
                end = start + _alike(text[start : start + len(form)], form)
                inside_a_word = text[start - 1 : start].isalpha() or text[end : end + 1].isalpha()
                if not form.isalpha() or len(form) >= 20 or not inside_a_word:
                    yield start, end
                start = text.find(needle, end)


def _is_ordinary(value: str) -> bool:
    """Whether a value is too short or too ordinary to be a secret."""
    if len(value.strip()) < 6 or (value.isdigit() and len(value) < 8):
        return True
    return value.isalpha() and len(value) < 12 and (value.islower() or value.isupper() or value.istitle())


def cover(text: str, spans: Iterable[Span]) -> str:
    """The text with a mask in place of each span."""
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], MASK]
        at = end
    return "".join([*parts, text[at:]]) if parts else text


def _forms(secret: str) -> set[str]:
    """How a secret is written in a text, in HTML, in JSON, by Python's ``repr``, and in an address."""
    written = {secret, html.escape(secret), html.escape(secret, quote=False), quote(secret, safe="")}
    return written | {repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}


def _of_a_keys_shape(text: str) -> Iterator[Span]:
    """Not the names of classes in HTML, such as ``sk-toggleable__control-hidden``."""
    if "sk-" in text:
        for found in _SHAPE.finditer(text):
            begun = _MARKED.match(found[0]) or _at_a_beginning(text, found.start())
            if begun and _RANDOM_PART.search(found[0], 3):
                yield found.span()


def _at_a_beginning(text: str, start: int) -> bool:
    """Not in the middle of a word: ``risk-…`` and ``task-…`` are no keys."""
    return not start or not text[start - 1].isalnum() or bool(_GLUED.search(text[max(0, start - 12) : start]))


def _alike(text: str, form: str) -> int:
    """How many characters at the beginning are the same."""
    pairs = enumerate(zip(text, form, strict=False))
    return next((n for n, (one, other) in pairs if one != other), len(text))


def _overlap(text: str, form: str) -> int:
    """How many characters at the end of a text are the beginning of a form, but not all of it."""
    longest = min(len(form) - 1, len(text))
    return next((length for length in range(longest, 0, -1) if text.endswith(form[:length])), 0)
