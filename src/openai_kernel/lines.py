"""The lesson's lines, typed into a cell as into a terminal.

``openai tools …``, ``openai api …``, ``export NAME=value``, ``set NAME=value``, ``cd …`` and ``pip install …``,
with or without a leading ``$``, become calls of magics with the same names. A backslash at the end continues
the line. Whatever Python itself understands stays Python (``set = {1}``, ``cd - 1``, ``openai.models``), and so
does all that stands in a string, in brackets, in a comment or behind ``%%``.
"""

import ast
import re
import shlex
from dataclasses import dataclass

_WORDS = {
    "openai": re.compile(r"openai(?=\s+(?:(?:api|tools)(?![\w.(=])|--?[A-Za-z]))"),
    "export": re.compile(r"export(?=\s+[A-Za-z_]\w*=)"),
    "set": re.compile(r"set(?=\s+\"?[A-Za-z_]\w*=(?!=))"),
    "cd": re.compile(r"cd(?=\s+[^\s=+*/%&|^<>!@,;:)\]}([{]|\s+/(?!\s)|\s*$)"),
    "pip": re.compile(r"pip3?(?=\s+(?:install|uninstall|list|show|freeze|download|check|--version)\b)"),
}
_MAGICS = {"openai": "openai", "export": "export", "set": "export", "cd": "cd", "pip": "lesson_pip"}
_NEVER_PYTHON = re.compile(r"openai\b|cd\s+/\S")
"""Python would take these for a difference and a quotient, but nobody writes those so."""
_LINE = re.compile(r"(?P<indent>\s*)(?P<dollar>\$\s*)?(?P<command>(?:openai|export|set|cd|pip3?)\b.*)", re.S)
_PIECE = re.compile(
    r"""\#.* | (?P<triple>\"{3}|'{3}) | "(?:\\.|[^"\\\n])*"? | '(?:\\.|[^'\\\n])*'? | [([{] | [)\]}]""",
    re.X | re.S,
)
_IPYTHON = re.compile(r"\s*[!%?]|\s*[\w, .]+=\s*[!%]")


def transform(lines: list[str]) -> list[str]:
    """A cell, with its shell-style lines as Python. What IPython calls a cleanup transform."""
    if lines and lines[0].startswith("%%"):
        return lines
    done: list[str] = []
    reading = _Reading()
    while (at := len(done)) < len(lines):
        call = _call(lines, at) if reading.between_statements else []
        if not call:
            reading.read(lines[at])
        done += call or [lines[at]]
    return done


def _call(lines: list[str], at: int) -> list[str]:
    """The call that stands for the line, and empty lines for those that continue it; nothing if it is Python."""
    found = _LINE.fullmatch(lines[at])
    if not found:
        return []
    used, command = 1, found["command"].rstrip()
    while command.endswith("\\") and at + used < len(lines):
        command = f"{command[:-1].rstrip()} {lines[at + used].strip()}"
        used += 1
    for word, pattern in _WORDS.items():
        name = pattern.match(command)
        if name and (found["dollar"] or _NEVER_PYTHON.match(command) or not _is_python(command)):
            rest = command[name.end() :].strip()
            if word == "set":  # on Windows all that stands behind the sign is the value, also spaces
                variable, _, value = rest.strip('"').partition("=")
                value = shlex.quote(value.strip().strip('"'))
                rest = f"{variable}={value}"
            call = f"{found['indent']}get_ipython().run_line_magic({_MAGICS[word]!r}, {rest!r})\n"
            return [call, *["\n"] * (used - 1)]
    return []


def _is_python(command: str) -> bool:
    try:
        ast.parse(command)
    except (SyntaxError, ValueError):
        return False
    return True


@dataclass
class _Reading:
    """Reads Python line by line, and knows whether the next line begins a statement."""

    depth: int = 0
    quote: str = ""
    continued: bool = False

    @property
    def between_statements(self) -> bool:
        return not (self.depth or self.quote or self.continued)

    def read(self, line: str) -> None:
        if self.between_statements and _IPYTHON.match(line):
            return  # a magic or a command of the shell: its quotes are not Python's
        text, rest = "", self._behind_string(line)
        while rest and (piece := _PIECE.search(rest)):
            text, rest = piece[0], rest[piece.end() :]
            if piece["triple"]:
                self.quote = piece["triple"]
                rest = self._behind_string(rest)
            elif text in "([{":
                self.depth += 1
            elif text in ")]}":
                self.depth = max(0, self.depth - 1)
        self.continued = not (self.quote or text.startswith("#")) and line.rstrip("\r\n").endswith("\\")

    def _behind_string(self, text: str) -> str:
        """What comes behind the end of a string that began before."""
        if not self.quote:
            return text
        end = re.search(rf"(?:\\.|(?!{self.quote})[^\\])*{self.quote}", text, re.S)
        if not end:
            return ""
        self.quote = ""
        return text[end.end() :]
