"""`openai-local serve`: a class, other machines, and what is refused before anything listens."""

import csv
import dataclasses
import html
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import openai
import pytest
from filelock import FileLock
from starlette.testclient import TestClient

from conftest import Service
from openai_local.classroom.handout import on_network, page_url
from openai_local.classroom.limits import CLASS, Limits
from openai_local.classroom.roster import make_class_keys, numbered
from openai_local.cli import _parser, main
from openai_local.command.serve import _for_learners, _open_class, _settings, is_this_machine
from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.service.app import Settings, create_app
from openai_local.service.store import Store


def client(service, key, **more):
    """A client on this machine, whatever address the service listens on."""
    url = re.sub(r"0\.0\.0\.0", "127.0.0.1", service.url)
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0, **more)


def handout(home):
    """The rows of the only hand-out of a home; each can be read by its owner only."""
    (page,) = home.glob("handout-*.html")
    (table,) = home.glob("handout-*.csv")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (page, table)} == {0o600}
    rows = list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()))
    assert all(row["key"] in html.unescape(page.read_text(encoding="utf-8")) for row in rows)
    return rows, page


@pytest.fixture
def refused(tmp_path, capsys):
    """Call the command; returns the sentence with which it ends."""

    def call(*words):
        code = main(["serve", "--home", str(tmp_path / "home"), *map(str, words)])
        said = capsys.readouterr()
        assert code == 1 and not said.out and "Traceback" not in said.err
        return said.err

    return call


# A class


def test_a_class_gets_keys_and_a_handout_that_works(new_service, capfd, tmp_path):
    service = new_service("--host", "0.0.0.0", "--learners", "2")
    said = capfd.readouterr().err
    rows, page = handout(service.home)
    assert f"keys for 2 learner(s) are in {page}" in said and said.count("without TLS") == 1
    assert [row["name"] for row in rows] == ["instructor", "learner-01", "learner-02"]
    assert not any(row["key"] in said for row in rows)

    port = service.url.split(":")[2].split("/")[0]
    assert {row["address"] for row in rows} == {f"http://{on_network('0.0.0.0')}:{port}/v1"}
    chief, one, two = (client(service, row["key"]) for row in rows)
    made = one.files.create(file=("a.jsonl", b'{"prompt": "a", "completion": "b"}\n'), purpose="fine-tune")
    assert [file.id for file in chief.files.list()] == [made.id] and not list(two.files.list())
    with pytest.raises(openai.NotFoundError):
        two.files.retrieve(made.id)


@pytest.fixture
def roster(tmp_path):
    """A class in which two have the same name."""
    path = tmp_path / "roster.csv"
    path.write_text("name\nAda Lovelace\nAda Lovelace\n", encoding="utf-8")
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="There is no bash to type the hand-out's lines in.")
def test_what_a_strip_says_can_be_typed(new_service, roster, capfd):
    """On this machine, as a network to come in by need not be there."""
    service = new_service("--class", str(roster))
    _, page = handout(service.home)
    assert "--host 0.0.0.0" in capfd.readouterr().err, "this address is of no use to others, and that is said"
    typed = html.unescape(re.findall(r"<pre>(.*?)</pre>", page.read_text(), re.S)[-2])
    python = "import openai_lesson as lesson; print(len(lesson.connect().models.list().data))"
    line = f'{typed}\n"{sys.executable}" -c "{python}"'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=service.home)
    assert "Connected to" in done.stdout and service.url in done.stdout, done.stderr
    assert int(done.stdout.splitlines()[-1]) > 0


def test_who_has_a_key_keeps_it(tmp_path, tiny_cache, roster, capsys):
    home = Home.open(tmp_path / "home")

    def open_class():
        """What `serve` does before it listens. Returns what it said."""
        arguments = _parser().parse_args(["serve", "--class", str(roster), "--port", "0"])
        _open_class(home, arguments, _settings(arguments))
        return capsys.readouterr().err

    open_class()
    rows, page = handout(home.path)
    page.unlink()
    page.with_suffix(".csv").unlink()

    said = open_class()
    assert "2 learner(s) have keys already" in said and "keys renew NAME" in said
    assert not list(home.path.glob("handout-*"))

    roster.write_text("name\nAda Lovelace\nAda Lovelace\nInstructor\n", encoding="utf-8")
    said = open_class()
    new, page = handout(home.path)
    assert f"2 learner(s) have keys already; keys for 1 new one(s) are in {page}" in said
    assert [(row["name"], row["learner"]) for row in new] == [("instructor-2", "Instructor")]
    assert [row["name"] for row in rows] == ["instructor", "ada-lovelace", "ada-lovelace-2"]
    http = TestClient(create_app(home, tiny_cache))
    for row in [*rows, *new]:
        assert http.get("/v1/models", headers={"Authorization": f"Bearer {row['key']}"}).json()["data"]


def test_no_keys_are_made_for_a_service_that_can_not_start(refused, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "Choose another port" in refused("--learners", 3, "--port", taken.getsockname()[1])
    home = Home.open(tmp_path / "home")
    with FileLock(home.lock):
        assert "is running on" in refused("--learners", 3)
    store = Store(home.database)
    assert not store.keys() and not list(home.path.glob("handout-*"))
    store.close()


def test_no_keys_are_made_without_a_handout(tmp_path, monkeypatch):
    home = Home.open(tmp_path)
    monkeypatch.setattr("time.strftime", lambda *_: "now")
    (tmp_path / "handout-now.html").mkdir()
    with pytest.raises(LocalError, match=r"can't be written.*No key was made"):
        make_class_keys(home, "http://127.0.0.1:8765/v1", numbered(2), "instructor")
    store = Store(home.database)
    assert not store.keys()
    store.close()


# What is refused


def test_it_does_not_listen_beyond_this_machine_without_a_key(refused, tmp_path):
    said = refused("--host", "0.0.0.0")
    assert f"openai-local keys new NAME --home {tmp_path / 'home'}" in said and "--learners 30" in said


def test_it_listens_beyond_this_machine_with_a_key(tmp_path, tiny_cache):
    home = tmp_path / "home"
    assert main(["keys", "new", "ada", "--home", str(home)]) == 0
    words = ["serve", "--home", str(home), "--host", "0.0.0.0", "--port", "0", "--idle-timeout", "0.1"]
    done = subprocess.run(
        [sys.executable, "-m", "openai_local", *words], capture_output=True, text=True, timeout=60
    )
    assert re.fullmatch(r"http://0\.0\.0\.0:\d+/v1\n", done.stdout)
    assert sum("without TLS" in line for line in done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--certificate", "a.pem"], "TLS takes two files"),
        (["--private-key", "a.pem"], "TLS takes two files"),
        (["--certificate", "a.pem", "--private-key", "b.pem"], "a.pem can't be read: No such file"),
        (["--certificate", __file__, "--private-key", __file__], "not a certificate and its private key"),
        (["--site", "site.toml"], "--runner slurm --site"),
        (["--runner", "slurm"], "--runner slurm --site"),
        (["--prefix", "lesson"], "--prefix /lesson"),
        (["--prefix", "/a b"], "--prefix /lesson"),
        (["--learners", "0"], "at least one learner"),
        (["--learners", "2", "--instructor", "a b"], "letters, digits"),
        (["--learners", "2", "--port", "0", "--url", "lesson.example.org"], "no address for --url"),
        (["--learners", "2", "--port", "0", "--url", "https://a.org/$(id)"], "no address for --url"),
        (["--learners", "2", "--port", "0", "--url", "https://a.org:x"], "no address for --url"),
        (["--url", "https://a.org:x"], "no address for --url"),
        (["--class", "none.csv"], "none.csv can't be read"),
        (["--jupyterhub"], "JUPYTERHUB_"),
    ],
)
def test_what_is_wrong_is_said(refused, tmp_path, words, said):
    assert said in refused(*words)
    database = Home.at(tmp_path / "home").database
    assert not database.exists() or not Store(database).keys()


@pytest.mark.parametrize(
    "words", [["--class", "a.csv", "--learners", "3"], ["--most-jobs", "-1"], ["--learners", "x"]]
)
def test_what_can_not_be_typed(words):
    with pytest.raises(SystemExit) as raised:
        main(["serve", *words])
    assert raised.value.code == 2


# Settings


def settings(*words):
    return _settings(_parser().parse_args(["serve", *words]))


def test_limits_are_for_those_who_share():
    assert settings().limits == settings("--host", "localhost").limits == Limits()
    assert settings("--learners", "3").limits == settings("--host", "0.0.0.0").limits == CLASS
    chosen = settings("--learners", "3", "--most-jobs", "0", "--most-megabytes", "7", "--most-minutes", "5").limits
    assert chosen == dataclasses.replace(CLASS, jobs=None, stored=7_000_000, minutes=5)
    assert settings("--most-requests", "9").limits == Limits(requests=9)


def test_a_hub_says_where_to_listen(monkeypatch):
    for name, value in {
        "API_URL": "http://127.0.0.1:8081/hub/api",
        "SERVICE_NAME": "openai",
        "SERVICE_PREFIX": "/services/openai/",
        "SERVICE_URL": "http://127.0.0.2:9137",
    }.items():
        monkeypatch.setenv(f"JUPYTERHUB_{name}", value)
    found = settings("--jupyterhub")
    assert (found.host, found.port, found.prefix) == ("127.0.0.2", 9137, "/services/openai")
    assert len(found.doors) == 1 and found.limits == CLASS
    assert settings("--jupyterhub", "--port", "0").port == 0


@pytest.fixture(scope="module")
def limited(tmp_path_factory, tiny_cache):
    """A service with a prefix, where everybody has two requests in a minute."""
    service = Service(
        tmp_path_factory.mktemp("limited"), tiny_cache, ("--prefix", "/lesson/", "--most-requests", "2")
    )
    service.start()
    yield service
    service.stop()


def test_where_one_was_that_was_killed_is_forgotten_at_once(tmp_path):
    """Its port may be somebody else's by now, and the lesson would send its key there."""
    home = Home.open(tmp_path)
    home.note_running(url="http://127.0.0.1:1/v1", pid=1, host=socket.gethostname())
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        words = ["serve", "--home", str(tmp_path), "--port", str(other.getsockname()[1])]
        done = subprocess.run([sys.executable, "-m", "openai_local", *words], capture_output=True, text=True)
    assert "Choose another port" in done.stderr and home.read_running() is None


def test_a_prefix(limited):
    assert limited.url.endswith("/lesson/v1") and limited.client().models.list().data
    with urllib.request.urlopen(page_url(limited.url)) as answer:
        assert answer.status == 200 and answer.headers["content-type"].startswith("text/html")


def test_a_limit_is_kept(limited):
    asking = limited.client("another")
    for _ in range(2):
        asking.models.list()
    with pytest.raises(openai.RateLimitError) as raised:
        asking.models.list()
    assert int(raised.value.response.headers["retry-after"]) in range(1, 31)


# Addresses


def test_which_addresses_are_this_machines():
    mine = ("127.0.0.1", "127.0.0.2", "localhost", "::1")
    others = ("0.0.0.0", "::", "", "192.0.2.1")
    assert all(map(is_this_machine, mine)) and not any(map(is_this_machine, others))


def test_what_learners_type(tmp_path):
    def typed(url=None, **more):
        return _for_learners(Settings(**more), url)

    assert typed(host="192.0.2.1") == "http://192.0.2.1:8765/v1"
    assert typed(host="2001:db8::1", port=1, prefix="/x") == "http://[2001:db8::1]:1/x/v1"
    assert typed(host="192.0.2.1", certificate=tmp_path, private_key=tmp_path).startswith("https://192")
    for url in ("https://a.org", "https://a.org/", "https://a.org/v1", "https://a.org/v1/"):
        assert typed(url) == "https://a.org/v1"
    assert typed("https://a.org", prefix="/x") == typed("https://a.org/x/", prefix="/x") == "https://a.org/x/v1"
    everywhere = on_network("0.0.0.0")
    assert everywhere and everywhere not in ("0.0.0.0", "127.0.0.1")


# What docs/class.md says


def test_the_pages_commands_exist():
    page = (Path(__file__).parents[2] / "docs" / "class.md").read_text(encoding="utf-8")
    lines = [
        line.strip() for block in re.findall(r"^```\n(.*?)^```$", page, re.M | re.S) for line in block.splitlines()
    ]
    lines += [" ".join(span.split()) for span in re.findall(r"`(openai-local [^`]+)`", page)]
    commands = [line.split()[1:] for line in lines if line.startswith("openai-local ")]
    assert len(commands) > 10
    for words in commands:
        assert _parser().parse_args(words).run, words


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for this machine that nobody vouches for, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("There is no openssl to make a certificate with.")
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "certificate.pem", folder / "private-key.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext".split()
    where = ["subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run(["openssl", *words, *where], check=True, capture_output=True)
    return paths


def test_with_a_certificate(new_service, certificate, capfd, monkeypatch):
    words = ["--certificate", str(certificate[0]), "--private-key", str(certificate[1])]
    service = new_service("--host", "0.0.0.0", "--learners", "1", *words)
    rows, _ = handout(service.home)
    assert service.url.startswith("https://") and rows[0]["address"].startswith("https://")
    assert "without TLS" not in capfd.readouterr().err
    with pytest.raises(openai.APIConnectionError):
        client(service, rows[1]["key"]).models.list()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with client(service, rows[1]["key"]) as trusting:
        assert trusting.models.list().data


def test_a_key_with_a_password(refused, certificate, tmp_path):
    locked = tmp_path / "locked.pem"
    words = ["rsa", "-aes256", "-passout", "pass:x", "-in", str(certificate[1]), "-out", str(locked)]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    assert "password" in refused("--certificate", certificate[0], "--private-key", locked)


# Stopping


def test_a_service_on_another_machine_is_not_stopped_from_here(tmp_path, capsys):
    """Its process number means somebody else here: this very process."""
    home = Home.open(tmp_path)
    home.note_running(url="http://127.0.0.1:8765/v1", pid=os.getpid(), host="node17")
    with FileLock(home.lock):
        assert main(["stop", "--home", str(tmp_path)]) == 1
        said = capsys.readouterr().err
        assert "runs on another machine, node17" in said and f"openai-local stop --home {tmp_path}" in said
        assert main(["status", "--home", str(tmp_path)]) == 0
        assert "on node17" in capsys.readouterr().out
        assert main(["status", "--json", "--home", str(tmp_path)]) == 0
        assert json.loads(capsys.readouterr().out)["host"] == "node17"
    assert home.running.exists()


def test_a_machine_that_got_another_name_stops_its_service(limited):
    """The last that needs it."""
    home = Home.at(limited.home)
    home.note_running(**{**home.read_running(), "host": "my-laptop.elsewhere"})
    assert limited.url in limited.command("stop")
    assert limited.process.wait(timeout=20) in (0, -signal.SIGTERM)
