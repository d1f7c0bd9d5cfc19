"""Whatever the service, its trainings and its commands write is the user's alone, however loose their umask is."""

import os
import stat
import sys

import pytest

from conftest import finished
from openai_local.models.base_models import SMOLLM2

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")


@pytest.fixture
def loose():
    """A shell whose umask lets everybody read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder):
    """What below a folder others may read, write or enter. A file that was linked keeps what its owner gave it."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        try:
            state = path.lstat()
        except FileNotFoundError:  # a temporary file
            continue
        if state.st_mode & 0o077 and path.name != "model.gguf":
            found[path.relative_to(folder).as_posix()] = oct(stat.S_IMODE(state.st_mode))
    return found


def test_all_that_a_class_leaves_in_the_home(loose, new_service, pairs):
    service = new_service("--learners", "2", "--most-requests", "0")
    client = service.client()
    service.command("bases", "add", "mine", str(SMOLLM2.at(service.cache).gguf))
    service.command("keys", "renew", "learner-01")
    with pairs.open("rb") as file:
        upload = client.files.create(file=file, purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        training_file=upload.id, validation_file=upload.id, model="mine", hyperparameters={"n_epochs": 6}
    )
    seen = {}
    while client.fine_tuning.jobs.retrieve(job.id).status not in ("succeeded", "failed"):
        seen |= open_to_others(service.home)
    assert finished(client, job.id).status == "succeeded"
    client.completions.create(model="mine", prompt="What is sun?", max_tokens=2)
    service.command(
        "export", client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model, "--to", str(service.home / "out")
    )
    assert (seen | open_to_others(service.home)).keys() <= {
        f"out/{path.name}" for path in (service.home / "out").iterdir()
    } | {"out"}
    assert not [path for path in (service.home / "out").iterdir() if path.stat().st_mode & 0o022], (
        "others may read it"
    )
    assert {path.name for path in service.home.iterdir()} >= {
        "openai-local.db",
        "service.json",
        "files",
        "jobs",
        "bases",
    }


def test_a_folder_that_was_there_stays_as_it_is_but_what_comes_into_it_is_private(
    loose, new_service, tmp_path, pairs
):
    home = tmp_path / "home0"
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    service = new_service()
    with pairs.open("rb") as file:
        service.client().files.create(file=file, purpose="fine-tune")
    assert open_to_others(home) == {".": "0o755"}
