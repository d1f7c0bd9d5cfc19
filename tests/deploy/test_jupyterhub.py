"""The lesson at a real JupyterHub with its proxy, from the settings in ``deploy/jupyterhub``.

The Hub is the newest one of the package index, in an environment that has the lesson's packages too. Learners log
in, start their servers, and run cells there. Only who may log in, how servers start, ports and folders are the
test's own.
"""

import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx2
import openai
import pytest
import websocket
from traitlets.config.loader import PyFileConfigLoader

from environments import npm_with, python_with

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="JupyterHub does not run on Windows")

DEPLOY = Path(__file__).parents[2] / "deploy" / "jupyterhub"
SETTINGS = """
c.JupyterHub.bind_url = "http://127.0.0.1:{ports[0]}"
c.JupyterHub.hub_port = {ports[1]}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{ports[2]}"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.admin_users = {{"ines"}}
c.JupyterHub.load_groups = {{"instructors": {{"users": ["tom"]}}}}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/homes/{{username}}"
c.Spawner.args = ["--allow-root"]
c.Spawner.environment = {{"OMP_NUM_THREADS": "1"}}
load_subconfig("{committed}")
"""
LEARN = """
import json, os, time
from pathlib import Path
import openai_lesson as lesson

client = lesson.connect()
with open({pairs!r}, "rb") as file:
    file = client.files.create(file=file, purpose="fine-tune")
job = client.fine_tuning.jobs.create(training_file=file.id, model="ada", hyperparameters={{"n_epochs": 1}})
while job.status not in ("succeeded", "failed", "cancelled"):
    time.sleep(0.2)
    job = client.fine_tuning.jobs.retrieve(job.id)
assert job.status == "succeeded", job
answer = client.completions.create(model=job.fine_tuned_model, prompt="What is sun?", max_tokens=4, temperature=0)
print("The key here:", os.environ["OPENAI_API_KEY"])
seen = {{name: os.environ[name] for name in ("OPENAI_API_KEY", "JUPYTERHUB_API_TOKEN")}}
seen |= {{"file": file.id, "job": job.id, "model": job.fine_tuned_model, "tokens": answer.usage.completion_tokens}}
Path.home().joinpath("seen.json").write_text(json.dumps(seen))
"""


@dataclass
class Hub:
    """A Hub that runs: its address, its folder, and that of the service."""

    url: str
    folder: Path
    home: Path

    @property
    def log(self):
        """What the Hub, the proxy, the service and the learners' servers printed."""
        return (self.folder / "log").read_text()

    def client(self, token):
        """The official client, by way of the proxy."""
        return openai.OpenAI(base_url=f"{self.url}/services/openai/v1", api_key=token, max_retries=0)


class Person:
    """Somebody with a browser."""

    def __init__(self, hub, name):
        self.hub, self.name, self.folder = hub, name, hub.folder / "homes" / name
        self.web = httpx2.Client(base_url=hub.url, follow_redirects=True, trust_env=False, timeout=30)
        self.web.get("/hub/login")
        sent = {"username": name, "password": secrets.token_hex(4), "_xsrf": self.web.cookies["_xsrf"]}
        assert self.web.post("/hub/login?next=/hub/token", data=sent).url.path == "/hub/token"
        self.token = self.new_token()["token"]

    def hubs(self, method, path, **sent):
        """Call the Hub's API as its pages do."""
        headers = {"X-XSRFToken": self.web.cookies.get("_xsrf", path="/hub/")}
        answer = self.web.request(method, f"/hub/api/users/{self.name}{path}", headers=headers, **sent)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def new_token(self, **facts):
        """A token, as the Hub's page 'Token' gives."""
        return self.hubs("POST", "/tokens", json={"note": "from the page", **facts})

    def client(self):
        return self.hub.client(self.token)

    def run(self, code, kernel="openai"):
        """Start the own server if need be, and run a cell in it. Returns what it prints."""
        self.start_server()
        about = {"Authorization": f"token {self.token}"}
        answer = self.web.post(f"/user/{self.name}/api/kernels", headers=about, json={"name": kernel})
        assert answer.is_success, answer.text
        path = f"/user/{self.name}/api/kernels/{answer.json()['id']}/channels"
        where = self.hub.url.replace("http:", "ws:") + path
        with contextlib.closing(websocket.create_connection(where, header=about, timeout=120)) as channel:
            return execute(channel, code)

    def start_server(self):
        if (self.folder / "started").exists():
            return
        self.hubs("POST", "/server")
        deadline = time.monotonic() + 120
        while not self.hubs("GET", "").get("server"):
            assert time.monotonic() < deadline, self.hub.log
            time.sleep(0.2)
        (self.folder / "started").touch()


def execute(channel, code):
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    about = {"msg_id": secrets.token_hex(8), "session": "test", "username": "", "version": "5.3"}
    request = {"msg_type": "execute_request", "header": about | {"msg_type": "execute_request"}}
    channel.send(
        json.dumps(request | {"parent_header": {}, "metadata": {}, "content": content, "channel": "shell"})
    )
    printed = ""
    while True:
        message = json.loads(channel.recv())
        if message["parent_header"].get("msg_id") != about["msg_id"]:
            continue
        kind, content = message["msg_type"], message["content"]
        assert kind != "error", "\n".join(content["traceback"])
        printed += content["text"] if kind == "stream" else ""
        if kind == "status" and content["execution_state"] == "idle":
            return printed


def free_ports(number):
    with contextlib.ExitStack() as open_:
        sockets = [open_.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="module")
def programs(request):
    """The folders with the programs of JupyterHub, beside the lesson's packages, and of its proxy."""
    cache = request.config.cache.mkdir("hub")
    hub = python_with(cache, "jupyterhub", "jupyterhub")
    packages = next(hub.parent.glob("lib/python*/site-packages"))
    (packages / "lesson.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    for kind in ("share", "etc"):  # kernels, and JupyterLab itself
        link = hub.parent / kind / "jupyter"
        link.unlink(missing_ok=True)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(Path(sys.prefix) / kind / "jupyter")
    node, folder = npm_with(cache, "configurable-http-proxy")
    return hub, folder / "node_modules" / ".bin", Path(node).parent


@pytest.fixture(scope="module")
def hub(programs, tmp_path_factory, tiny_cache):
    folder = tmp_path_factory.mktemp("hub")
    *ports, port = free_ports(4)
    settings = folder / "jupyterhub_config.py"
    settings.write_text(SETTINGS.format(ports=ports, folder=folder, committed=DEPLOY / "jupyterhub_config.py"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTHON"))}
    paths = os.pathsep.join([*map(str, programs[1:]), os.environ["PATH"]])
    own = {"OPENAI_LOCAL_HOME": folder / "home", "OPENAI_LOCAL_CACHE": tiny_cache, "OPENAI_LOCAL_PORT": port}
    environment = kept | {"PATH": paths} | {name: str(value) for name, value in own.items()}
    command = [str(programs[0] / "python"), "-m", "jupyterhub", "-f", str(settings)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    hub = Hub(f"http://127.0.0.1:{ports[0]}", folder, folder / "home")
    try:
        until_it_answers(process, hub)
        yield hub
    finally:
        process.terminate()
        process.wait(timeout=60)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)), "the service did not end with the Hub"


def until_it_answers(process, hub):
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None and time.monotonic() < deadline, hub.log
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(f"{hub.url}/services/openai/health", trust_env=False).is_success:
                return
        time.sleep(0.2)


@pytest.fixture(scope="module")
def revoked(hub):
    """A token that was used and then revoked, and when."""
    uma = Person(hub, "uma")
    about = uma.new_token()
    assert hub.client(about["token"]).files.list().data == []
    uma.hubs("DELETE", f"/tokens/{about['id']}")
    return about["token"], time.monotonic()


@pytest.fixture(scope="module")
def learners(hub, revoked, pairs):
    """Two learners, each with a model of their own. They trained it in their notebooks, at the same time."""
    people = [Person(hub, name) for name in ("ada@uni.example", "bob")]
    with ThreadPoolExecutor() as pool:
        printed = list(pool.map(lambda person: person.run(LEARN.format(pairs=str(pairs))), people))
    for person, text in zip(people, printed, strict=True):
        person.printed, person.seen = text, json.loads((person.folder / "seen.json").read_text())
    return people


def ids(things):
    return [thing.id for thing in things]


def things_of(client):
    """The ids of all files, jobs and trained models that somebody sees."""
    models = [id_ for id_ in ids(client.models.list()) if id_.startswith("ft:") and ":ckpt-" not in id_]
    uploads = [file.id for file in client.files.list() if file.purpose == "fine-tune"]
    return sorted([*uploads, *ids(client.fine_tuning.jobs.list()), *models])


def made_by(*people):
    return sorted(person.seen[name] for person in people for name in ("file", "job", "model"))


def test_each_learner_trains_and_asks(hub, learners):
    for person in learners:
        assert person.seen["tokens"] == 4
        assert f":{person.name}:" in person.seen["model"]


def test_each_learner_sees_only_their_own(learners):
    for person, other in (learners, learners[::-1]):
        assert things_of(person.client()) == made_by(person)
        with pytest.raises(openai.NotFoundError):
            person.client().fine_tuning.jobs.retrieve(other.seen["job"])
        with pytest.raises(openai.NotFoundError):
            person.client().files.content(other.seen["file"])
        with pytest.raises(openai.NotFoundError):
            person.client().completions.create(model=other.seen["model"], prompt="What is sun?", max_tokens=1)


@pytest.mark.parametrize("name", ["ines", "tom"])
def test_an_administrator_and_an_instructor_see_all(hub, learners, name):
    assert things_of(Person(hub, name).client()) == made_by(*learners)


def test_an_administrators_own_server_sees_all(hub, learners):
    code = "import openai; print(*sorted(job.id for job in openai.OpenAI().fine_tuning.jobs.list()))"
    assert Person(hub, "ines").run(code).split() == sorted(person.seen["job"] for person in learners)


def test_the_servers_token_is_the_key(hub, learners):
    """It is another one than that from the page, belongs to the same learner, and is not shown."""
    for person in learners:
        seen = person.seen
        assert seen["OPENAI_API_KEY"] == seen["JUPYTERHUB_API_TOKEN"] != person.token
        assert things_of(hub.client(seen["OPENAI_API_KEY"])) == made_by(person)
        assert "The key here:" in person.printed and seen["OPENAI_API_KEY"] not in person.printed


def test_the_notebooks_are_there_and_stay(programs, learners):
    """So are the commands, for terminals."""
    ada = learners[0]
    notebooks = sorted((ada.folder / "openai-lesson").glob("*.ipynb"))
    assert [path.name[:3] for path in notebooks] == [f"{n:02}-" for n in range(8)]
    notebooks[0].write_text("{}")
    ada.hubs("DELETE", "/server")
    (ada.folder / "started").unlink()
    first, *_ = ada.run("import os; print(os.environ['PATH'])", kernel="python3").split(os.pathsep)
    assert (first, notebooks[0].read_text()) == (str(programs[0]), "{}")


def test_tokens_that_are_not_for_this_service(hub, learners):
    with pytest.raises(openai.AuthenticationError):
        hub.client(secrets.token_hex(16)).files.list()
    narrow = learners[0].new_token(scopes=["read:users:name!user"])["token"]
    with pytest.raises(openai.PermissionDeniedError, match="not for this service"):
        hub.client(narrow).files.list()


def test_the_page_and_what_it_shows(hub, learners):
    """Its files need no token; what it shows does. Its addresses lead back to the service, by way of the proxy."""
    with httpx2.Client(base_url=hub.url, follow_redirects=True, trust_env=False) as web:
        for path in ("/services/openai", "/services/openai/"):
            answer = web.get(path)
            assert (answer.status_code, str(answer.url)) == (200, f"{hub.url}/services/openai/")
        parts = re.findall(r'(?:src|href)="(page/[^"]+)"', answer.text)
        assert parts and all(web.get(answer.url.join(part)).is_success for part in parts)
        about = {"Authorization": f"Bearer {Person(hub, 'tom').token}"}
        assert web.get("/services/openai/v1/class").status_code == 401
        shown = web.get("/services/openai/v1/class", headers=about)
        assert shown.is_success and all(person.name in shown.text for person in learners)


def test_a_revoked_token_is_refused_after_a_minute(hub, revoked):
    token, when = revoked
    while True:
        try:
            hub.client(token).files.list()
        except openai.AuthenticationError:
            return
        assert time.monotonic() - when < 62
        time.sleep(0.5)


def test_no_token_is_written_down(hub, learners, revoked):
    tokens = [revoked[0], *(person.token for person in learners), *(p.seen["OPENAI_API_KEY"] for p in learners)]
    kept = [path for path in hub.home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in kept)
    for token in tokens:
        assert re.fullmatch("[0-9a-f]{32}", token) and token not in hub.log
        assert not [path for path in kept if token.encode() in path.read_bytes()]


def test_the_littlest_jupyterhub_adds_to_what_it_has(tmp_path):
    """Its settings for the lesson, read as it reads them. (It can't be installed in a test.)"""
    snippet = (DEPLOY / "tljh.py").read_text().replace("/opt/openai-lesson/deploy/jupyterhub", str(DEPLOY))
    (tmp_path / "openai.py").write_text(snippet)
    (tmp_path / "tljh.py").write_text(
        "c.JupyterHub.services = [{'name': 'cull-idle'}]\n"
        "c.Spawner.default_url = '/lab'\n"
        f"load_subconfig({str(tmp_path / 'openai.py')!r})\n"
    )
    read = PyFileConfigLoader("tljh.py", path=str(tmp_path)).load_config()
    idle, service = read.JupyterHub.services
    assert (idle["name"], service["name"], service["user"]) == ("cull-idle", "openai", "openai-local")
    assert service["command"][0] == read.Spawner.cmd[0] == "/opt/tljh/user/bin/python"
    assert read.Spawner.default_url == "/lab"
