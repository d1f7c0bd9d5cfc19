"""What the tests of preparing share."""

import pytest

from openai_lesson.prepare import tokens


@pytest.fixture(autouse=True)
def machine(tiny_cache, monkeypatch):
    """What ``openai-local estimate`` says, without asking it each time: the tiny model's tokenizer."""
    path = next(tiny_cache.rglob("tokenizer.json"))
    found = tokens.Machine("tiny", str(path), 2048, 13, 300.0, 15.0, "measured somewhere")
    monkeypatch.setattr(tokens, "machine", lambda examples: found)
    return found
