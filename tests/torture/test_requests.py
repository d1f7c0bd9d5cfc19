"""Every route is asked what its description allows, and what it does not: no 5xx, no answer outside the envelope.

schemathesis makes the requests. Left to itself it would be told of each that there is no such model, file or job.
So some of them name real ones, and of these some have only parameters that the service offers.
"""

import contextlib
import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import openai
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import sampled_from
from learner import SHORT, create, upload
from schemathesis import GenerationMode

from conftest import Service, finished
from openai_local.home import Home
from openai_local.service.app import create_app

sys.path.append(str(Path(__file__).parents[2] / "docs"))

from openapi import endpoints, openais, ours
from verdict import Judge

MEANT = ("as it came", "real names", "real names", "offered")
"""What becomes of a request: it stays as it is, names what is there, or has no parameters but offered ones."""
LIMITS = {"prompt": "max_tokens", "messages": "max_completion_tokens", "input": "max_output_tokens"}
"""How each kind of answer is kept short: the limits themselves are tried in ``test_sizes``."""
CREATES = ("/v1/fine_tuning/jobs", "/v1/fine-tunes")
NEEDS_NO_KEY = ("/health", "/", "/page/{name}")
METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT PURGE".split()


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("routes")
    app = create_app(Home.open(folder), folder)
    app.state.context.store.close()
    return app.routes


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_cache):
    """A service for a learner who may have few jobs, and an instructor; something is trained already."""
    service = Service(tmp_path_factory.mktemp("home"), tiny_cache, ("--most-jobs", "3", "--most-requests", "0"))
    service.start()
    yield Place(service)
    service.stop()


class Place:
    """The service, who calls it, and what there is."""

    def __init__(self, service):
        self.service = service
        self.learner, self.teacher = service.client("ada"), service.client("teacher", instructor=True)
        file = upload(self.learner)
        job = finished(self.learner, create(self.learner, file, SHORT))
        self.file, self.job, self.model = file.id, job.id, job.fine_tuned_model
        self.session = requests.Session()
        self.session.trust_env = False

    def named(self, case, meant, offered):
        """The request with real names in it, and kept short."""
        path, body = dict(case.path_parameters), case.body
        if meant != "as it came":
            path = dict.fromkeys(path, self._real(case.path, case.method))
            real = {"model": self.model, "training_file": self.file, "validation_file": self.file}
            if isinstance(body, dict):
                body = {name: real.get(name, value) for name, value in body.items()}
            if isinstance(body, dict) and meant == "offered":
                body = {name: value for name, value in body.items() if name in offered}
        if isinstance(body, dict):
            body = _short(body)
        media = case.media_type if isinstance(case.media_type, str) else None
        made = {"path_parameters": path, "query": case.query, "body": body, "media_type": media}
        return case.operation.Case(**made)

    def _real(self, path, method):
        if "/files/" in path:
            return upload(self.learner).id if method == "DELETE" else self.file
        if "/models/" in path:
            return "smollm2-135m" if method == "DELETE" else self.model
        return "ada" if "/engines/" in path else "index.html" if "/page/" in path else self.job

    def undo(self, case, answer):
        """A job that was taken by the way is not to be trained."""
        if case.method == "POST" and answer.status_code == 200 and case.path in CREATES:
            id_ = answer.json()["id"]
            with contextlib.suppress(openai.BadRequestError):  # it is over already
                self.teacher.fine_tuning.jobs.cancel(id_ if id_.startswith("ftjob-") else f"ftjob-{id_[3:]}")


def _short(body):
    """The same request for at most two answers of four tokens."""
    limits = [limit for what, limit in LIMITS.items() if what in body]
    return {
        name: min(value, 4 if name in limits else 2)
        if type(value) is int and name in (*limits, "n", "best_of")
        else value
        for name, value in {**dict.fromkeys(limits, 4), **body}.items()
    }


def ask_everything(place, document, known, each, judge, with_key):
    """Ask for everything in a document. Returns what was wrong, as sentences."""
    problems = []
    schema = schemathesis.openapi.from_dict(document)
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in sorted(operations, key=lambda operation: operation.method.upper() == "DELETE"):
        offered = known.get((operation.method.upper(), operation.path), frozenset())
        # What has a path only can't be asked wrongly: any text will do there.
        modes = GenerationMode if len(operation.body) or len(operation.query) else [GenerationMode.POSITIVE]
        for mode in modes:
            _ask(place, operation, mode, offered, each, judge, with_key, problems)
    return problems


def _ask(place, operation, mode, offered, each, judge, with_key, problems):
    open_to_all = operation.path in NEEDS_NO_KEY

    @settings(
        max_examples=each,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=mode),
        meant=sampled_from(MEANT),
        who=sampled_from((place.learner, place.teacher)),
    )
    def once(case, meant, who):
        case = place.named(case, meant, offered)
        headers = {"authorization": f"Bearer {who.api_key}"} if with_key else {}
        answer = case.call(place.service.url.removesuffix("/v1"), place.session, headers, timeout=60)
        kind = {name: values[0] for name, values in answer.headers.items()}
        found = judge.problems(answer.status_code, kind, answer.content, head=case.method == "HEAD")
        if not with_key and not open_to_all and answer.status_code != 401:
            found.append(f"{answer.status_code} without a key")
        problems.extend(f"{problem}: {case.as_curl_command()}" for problem in found)
        place.undo(case, answer)

    once()


@pytest.fixture
def offered(routes):
    """The parameters that each endpoint offers."""
    known = {(one.method, one.path): one.function.__globals__ for one in endpoints(routes)}
    return {key: names.get("_OFFERED") or names.get("OFFERED", frozenset()) for key, names in known.items()}


@pytest.fixture
def judge(place):
    service = place.service
    return Judge([place.learner.api_key, place.teacher.api_key, str(service.home), str(service.cache)])


@pytest.mark.parametrize("with_key", [True, False], ids=["with a key", "without"])
def test_our_description(place, routes, offered, judge, size, tried, with_key):
    problems = ask_everything(place, ours(routes), offered, size(1, 150), judge, with_key)
    _tell(tried, "our description", with_key, judge, problems)


@pytest.mark.parametrize("with_key", [True, False], ids=["with a key", "without"])
def test_openais_description(place, routes, offered, judge, size, tried, with_key):
    folder = os.environ.get("OPENAI_REFERENCE")
    if not folder:
        pytest.skip("OPENAI_REFERENCE names no folder with OpenAI's description")
    problems = [
        problem
        for document in openais(Path(folder), routes)
        for problem in ask_everything(place, document, offered, size(1, 150), judge, with_key)
    ]
    _tell(tried, "OpenAI's description", with_key, judge, problems)


def _tell(tried, whose, with_key, judge, problems):
    key = "with a key" if with_key else "without"
    tried(f"requests: {whose}, {key}", f"{sum(judge.seen.values()):,} ({judge})", len(problems))
    assert problems == [], "\n".join(problems[:20])
    assert not with_key or {200, 400, 404} <= set(judge.seen), f"too few kinds of answers: {judge}"


def test_methods(place, routes, judge):
    """Whatever the method: the service knows it, or says so in the envelope. Without a key it says 401."""
    problems = []
    root = place.service.url.removesuffix("/v1")
    headers = {"authorization": f"Bearer {place.learner.api_key}"}
    with httpx2.Client(trust_env=False) as http:
        for path in {one.path for one in endpoints(routes)}:
            for method in METHODS:
                url = root + path.replace("{", "").replace("}", "")
                for given_headers in (headers, {}):
                    answer = http.request(method, url, headers=given_headers)
                    wrong = judge.problems(
                        answer.status_code, answer.headers, answer.content, head=method == "HEAD"
                    )
                    if not given_headers and path.startswith("/v1") and answer.status_code != 401:
                        wrong.append(f"{answer.status_code} without a key")
                    problems += [f"{problem}: {method} {path}" for problem in wrong]
    assert problems == []


HOST = b" HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BROKEN = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no method": b"/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "a space in a header's name": b"GET /health" + HOST + b"X Y: 1\r\n\r\n",
    "a length that is none": b"POST /v1/files" + HOST + b"Content-Length: -1\r\n\r\n",
    "two lengths": b"POST /v1/files" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "an encoding that is none": b"POST /v1/files" + HOST + b"Transfer-Encoding: x\r\n\r\n",
    "a chunk that is none": b"POST /v1/completions" + HOST + b"Transfer-Encoding: chunked\r\n\r\nZ\r\n",
    "a path in other letters": b"GET /v1/\xfc" + HOST + b"\r\n",
    "a path that does not end": b"GET /" + b"x" * 70_000,
    "a header that does not end": b"GET /health" + HOST + b"X: " + b"x" * 70_000,
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_what_is_no_http_gets_the_envelope_too(place, judge, sent):
    address = urlsplit(place.service.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(sent)
        came = b""
        while piece := connection.recv(1 << 16):
            came += piece
    head, _, body = came.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert first.split()[1] in ("400", "401") and headers["connection"] == "close"
    assert judge.problems(400, headers, body) == []
