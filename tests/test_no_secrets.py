"""No file of the project holds a key, a password, or the name of somebody's home folder."""

import base64
import json
import math
import re
import secrets
import string
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RANDOM = r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{12,}"
"""Letters and digits in one run, as they come from a generator and not from a person."""

KEYS = {
    "a key of OpenAI's form": rf"\bsk-(?:[\w-]*?[_-])?{RANDOM}",
    "a token for GitHub": r"\b(?:gh[pousr]_|github_pat_)\w{30,}",
    "a token for GitLab": r"\bglpat-[\w-]{20,}",
    "a key for Amazon": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a key for Google": r"\bAIza[\w-]{30,}",
    "a token for Hugging Face": r"\bhf_[A-Za-z0-9]{30,}",
    "a token for Slack": r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}",
    "a token for a package index": r"\b(?:pypi-[\w-]{50,}|npm_[A-Za-z0-9]{36})",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a JSON web token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "a bearer token": rf"(?i:\bbearer) +(?:[\w.~+/-]*?[.~+/_-])?{RANDOM}",
    "a password in an address": r"://[^\s/:@\"'`{}$<]+:[^\s/:@\"'`{}$<]+@(?![\w.-]+\.example\b)",
}
ASSIGNED = re.compile(
    r"(?i:key|token|secret|passwo?r?d|credential)s?[\"'\\]*\]?"  # a name
    r"(?:: *\w+)? *[:=]+ *[\\]?[\"']([^\s\"'\\]{16,})[\\]?[\"']"  # and its value
)
HOMES = re.compile(
    r"(?:/(?:home|Users)/|[A-Za-z]:\\+Users\\+)(?!you\b|NAME\b|jovyan\b)[A-Za-z0-9._-]+|/root\b(?!-)"
)
ALLOWED = frozenset[str]()
"""What looks like a secret and is none: here it may be written down, with the reason beside it."""


def files() -> list[Path]:
    """What git has or would take; without git, all that does not lie in a folder for things made here."""
    listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listed, capture_output=True, check=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        passed = {
            ".git",
            ".venv",
            "dist",
            "lesson-run",
            "__pycache__",
            ".pytest_cache",
            ".mypy_cache",
            ".ruff_cache",
        }
        paths = [path for path in ROOT.rglob("*") if not passed.intersection(path.relative_to(ROOT).parts)]
    else:
        paths = [ROOT / name for name in names if name]
    return [path for path in paths if path.is_file()]


def texts() -> Iterator[tuple[str, str]]:
    """Each file's path below the project's folder, and its text. Pictures have none."""
    for path in files():
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def entropy(text: str) -> float:
    """How many bits each character tells."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def found(text: str) -> list[str]:
    """What looks like a secret in a text: what it is, the line, and how it begins."""
    seen = [(what, match) for what, shape in KEYS.items() for match in re.finditer(shape, text)]
    seen += [
        ("a secret in the code", match)
        for match in ASSIGNED.finditer(text)
        if entropy(match[1]) > 3.5 and re.search(RANDOM, match[1])
    ]
    return [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {what}, {match[0][:10]}…"
        for what, match in seen
        if match[0] not in ALLOWED
    ]


def test_no_file_holds_a_key():
    all_found = {name: said for name, text in texts() if (said := found(text))}
    assert not all_found, (
        "If one of these is no secret, build it at run time, or add it to ALLOWED with the reason"
    )


def test_no_file_names_a_home_folder():
    """Outputs of notebooks are stored as they were printed, with the paths of whoever ran them."""
    for name, text in texts():
        names = [match[0] for match in HOMES.finditer(text)]
        assert not names or name == "tests/test_no_secrets.py", f"{name}: {names}"


def letters(count: int) -> str:
    """Random letters and digits, at least one digit among the first twelve."""
    alphabet = string.ascii_letters + string.digits
    return (
        "".join(secrets.choice(alphabet) for _ in range(5))
        + "7x"
        + "".join(secrets.choice(alphabet) for _ in range(count - 7))
    )


def web_token() -> str:
    """A JSON web token of nobody's."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": "1234567890", "name": "Ada"})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


@pytest.mark.parametrize("made", range(5))
@pytest.mark.parametrize(
    "make",
    [
        lambda: "sk-" + letters(48),
        lambda: "export OPENAI_API_KEY=sk-" + "proj-" + letters(40),
        lambda: '"sk-local-' + letters(32) + '\\n"',
        lambda: "ghp_" + letters(36),
        lambda: "AK" + "IA" + secrets.token_hex(8).upper(),
        lambda: "hf_" + letters(34),
        lambda: f"-----BEGIN RSA {'PRIVATE'} KEY-----\n{letters(60)}",
        lambda: f"{web_token()}.{letters(43)}",
        lambda: f"Authorization: Bearer {letters(30)}",
        lambda: f"https://jane:{letters(20)}@index.test/simple",
        lambda: f'password = "{letters(24)}"',
        lambda: f'"api_key\\": \\"{letters(24)}\\",',
    ],
)
def test_what_it_finds(make, made):
    text = f"first line\nbefore {make()} after"
    assert found(text) and all(said.startswith("line 2: ") for said in found(text))


@pytest.mark.parametrize(
    "text",
    [
        'client = OpenAI(api_key="abc")',
        "llama-server --api-key sk-local-SECRET",
        "disk-" + "5d" * 16,
        'class="sk-toggleable__control-hidden--visually"',
        "https://jane:pass@index.example/simple",
        'key = "Files validated, moving job to queued state"',
        'token="<|im_end|><|im_start|>"',
        "--hash=sha256:" + "5d" * 32,
    ],
)
def test_what_it_lets_pass(text):
    assert not found(text)


def test_whose_home():
    for path in ("/home/ada/lesson", "/Users/ada", "C:\\\\Users\\\\ada", "/" + "root/.cache"):
        assert HOMES.search(f'"{path}"'), path
    for text in ("/home/you/.venv", "the tree's /root-node", "/users/me"):
        assert not HOMES.search(text), text
