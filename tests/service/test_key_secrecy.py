"""A key is where it must be and nowhere else: after a tour, all of the home, the log and the errors is read."""

import base64
import csv
import html
import subprocess
import sys
from pathlib import Path

import httpx2
import openai
import psutil
import pytest

from conftest import Service, finished


@pytest.fixture
def school(tmp_path, tiny_cache):
    """A class whose log is kept. Yields the service, and each key by its name."""
    service, log = Service(tmp_path / "home", tiny_cache), tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "openai_local", "serve", "--port", "0", "--learners", "2"],
            env=service.environment,
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
        )
    service.process, service.url = process, process.stdout.readline().strip()
    (table,) = service.home.glob("handout-*.csv")
    rows = csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines())
    service.keys = {row["name"]: row["key"] for row in rows}
    yield service, log
    service.stop()


def traces(key):
    """How a key may be written. A good part of it is as bad as all of it."""
    body = key.rpartition("sk-local-")[2]
    forms = [body[:20], body[-20:], html.escape(key), key[::-1]]
    for text in (key, f"Bearer {key}"):
        forms += [base64.b64encode(text.encode())[:-4].decode(), text.encode().hex()]
    return [form.encode() for form in forms]


def running():
    """The command lines and the environments of the service's processes, as far as they can be read."""
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if "openai_local" in " ".join(words):
                yield " ".join(words), process.environ()
        except psutil.Error:
            continue


def tour(service, keys, pairs):
    """Everything that one does with a key, rightly and wrongly. Returns all that was answered to mistakes."""
    ada, chief = (
        openai.OpenAI(base_url=service.url, api_key=keys[n], max_retries=0) for n in ("learner-01", "instructor")
    )
    with pairs.open("rb") as file:
        upload = ada.files.create(file=file, purpose="fine-tune")
    made = {"training_file": upload.id, "model": "ada", "hyperparameters": {"n_epochs": 2}}
    job = ada.fine_tuning.jobs.create(**made)
    for line, environment in running():
        assert not [key for key in keys.values() if key in line or key in "".join(environment.values())], line
    model = finished(ada, job.id).fine_tuned_model
    ada.completions.create(model=model, prompt="What is sun?", max_tokens=2)
    list(chief.completions.create(model=model, prompt="What is sun?", max_tokens=2, stream=True))
    chief.get("/class", cast_to=object)
    said = []
    key = keys["learner-01"]
    with httpx2.Client(base_url=service.url, trust_env=False) as http:
        for wrong in (key[:-1], key.upper(), f"{key}x", f" {key} {key}"):
            said.append(http.get("/models", headers={"authorization": f"Bearer {wrong}"}).text)
        mine = {"authorization": f"Bearer {key}"}
        said.append(http.get("/models", headers={"authorization": f"Basic {key}"}).text)
        said.append(http.get(f"/models/x?api_key={key[:9]}", headers=mine).text)
        said.append(http.post("/completions", headers=mine, content=b"{").text)
        said.append(http.post("/completions", headers=mine | {"host": "evil.example"}).text)
    return said


def test_a_key_is_only_on_the_handout(school, pairs):
    service, log = school
    keys = dict(service.keys)
    said = tour(service, keys, pairs)
    renewed = service.command("keys", "renew", "learner-02")
    listed = service.command("keys", "list", "--json")
    keys["renewed"] = renewed
    service.stop()
    handouts = set(service.home.glob("handout-*"))
    assert len(handouts) == 2
    places = [path for path in service.home.rglob("*") if path.is_file() and path not in handouts]
    assert "openai-local.db" in {path.name for path in places} and len(places) > 8
    written = {str(path): path.read_bytes() for path in [*places, log]} | {"answers": "".join(said).encode()}
    for name, key in {**keys, "all": listed}.items():
        for trace in traces(key) if name != "all" else ():
            assert not [place for place, content in written.items() if trace in content], name
    assert not [key for key in keys.values() if key[9:25] in listed]
    for handout in handouts:
        assert keys["learner-01"].encode() in handout.read_bytes(), "else this test looks for the wrong thing"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")
def test_nobody_else_can_read_what_a_process_was_given(school):
    """Where there is a key in an environment (``OPENAI_API_KEY``), the system keeps it from other users."""
    service, _ = school
    assert Path(f"/proc/{service.process.pid}/environ").stat().st_mode & 0o077 == 0
