import stat
import sys

import pytest

from openai_lesson import LessonError, keys


def test_a_key_is_kept_for_the_user_alone():
    assert keys.load("openai") is None
    keys.save("openai", "sk-one")
    keys.save("other", "sk-two")
    assert (keys.load("openai"), keys.load("other")) == ("sk-one", "sk-two")
    if sys.platform != "win32":
        assert stat.S_IMODE(keys.path().stat().st_mode) == 0o600


def test_asking_is_hidden_and_says_where_it_is_kept(monkeypatch, capsys):
    monkeypatch.setattr("getpass.getpass", lambda prompt: " sk-secret ")
    keys.ask("openai")
    assert keys.load("openai") == "sk-secret"
    assert "sk-secret" not in capsys.readouterr().out


def test_nothing_typed_and_a_damaged_file(monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda prompt: "")
    with pytest.raises(LessonError, match="nothing was kept"):
        keys.ask()
    keys.save("openai", "x")
    keys.path().write_text("{")
    with pytest.raises(LessonError, match="is damaged"):
        keys.load("openai")
