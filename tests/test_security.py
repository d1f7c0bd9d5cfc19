"""SECURITY.md: what it claims has a test that is there, and what it says can be typed and followed."""

import re

import pytest

from test_pages import checked, spans
from test_set_up import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
DEFENDED = PAGE.split("\n## What is defended\n")[1].split("\n## ")[0]
CLAIMS = re.findall(r"^\| (?!what holds|---)(.+?) \| (.+) \|$", DEFENDED, re.M)
PLACES = ("tests", "src/openai_local", ".")


def test_it_has_claims():
    assert len(CLAIMS) >= 25 and len(DEFENDED.split("\n### ")) == 5, "one for each who may try to get in"


@pytest.mark.parametrize(("claim", "shown"), CLAIMS, ids=[claim[:30] for claim, _ in CLAIMS])
def test_a_claim_has_a_test(claim, shown):
    files = [
        next((ROOT / place / name for place in PLACES if (ROOT / place / name).is_file()), name)
        for name in spans(shown)
    ]
    assert not [file for file in files if isinstance(file, str)], "there is no such file"
    tests = [file for file in files if file.name.startswith("test_")]
    assert tests and all("\ndef test_" in file.read_text(encoding="utf-8") for file in tests)


def test_what_is_named_elsewhere_is_there():
    for name in re.findall(r"`([\w/]+\.py)`", PAGE):
        assert any((ROOT / place / name).is_file() for place in PLACES), name
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (ROOT / target).exists(), target
    for span in spans(PAGE):
        if span.startswith("openai") and " " in span and not span.endswith("--version"):
            assert checked(span), span


def test_its_form():
    for line in PAGE.splitlines():
        assert len(line) <= 118 or line.startswith("|"), line
    assert not re.search(r"/(home|root|work|tmp)/|issue \d|\w@\w", PAGE)
    assert 80 <= len(PAGE.splitlines()) <= 125
