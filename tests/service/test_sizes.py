"""How large a request may be, and that one that is too large is refused before it costs anything."""

import json
import time

import pytest
from starlette.testclient import TestClient

from openai_local.home import Home
from openai_local.service.answer_request import MOST_TEXT
from openai_local.service.app import create_app
from openai_local.service.auth import make_key
from openai_local.service.contract import MOST_BYTES
from openai_local.service.routes.uploads import MOST_BYTES as MOST_FILE

CHAT = [{"role": "user", "content": "hi"}]
MANY = "object_above_max_properties"
PARTS = [{"type": [], "text": "x"}]
ANSWERS = {
    "completions": {"model": "ada", "prompt": "x", "max_tokens": 1},
    "chat/completions": {"model": "ada", "messages": CHAT, "max_tokens": 1},
    "responses": {"model": "ada", "input": "hi", "max_output_tokens": 1},
}


@pytest.fixture(scope="module")
def http(tiny_cache, tmp_path_factory):
    """A caller of a service in this process, whose queue stands still."""
    app = create_app(Home.open(tmp_path_factory.mktemp("home")), tiny_cache)
    key = make_key(app.state.context.store, "ada")
    yield TestClient(app, headers={"Authorization": f"Bearer {key}"})
    app.state.context.answering.close()
    app.state.context.store.close()


def refused(answer, status=400):
    """The error of an answer that must be one."""
    assert answer.status_code == status, answer.text[:300]
    return answer.json()["error"]


@pytest.mark.parametrize("path", [*ANSWERS, "fine_tuning/jobs", "fine-tunes", "engines/ada/completions"])
def test_a_body_that_is_too_long_is_refused_before_it_is_read(http, path):
    def pieces():
        for number in range(100):
            sent.append(number)
            yield b" " * (MOST_BYTES // 10)

    sent = []
    assert refused(http.post(f"/v1/{path}", content=pieces()), 413)["code"] == "request_too_large"
    said = {"content-length": str(MOST_BYTES + 1)}
    assert refused(http.post(f"/v1/{path}", content=b"{", headers=said), 413)["code"] == "request_too_large"


@pytest.mark.parametrize(
    ("path", "more", "param", "code"),
    [
        ("completions", {"prompt": ["x"] * 129}, "prompt", "invalid_value"),
        ("completions", {"prompt": ["x"] * 9000}, "prompt", "array_above_max_length"),
        ("completions", {"prompt": ["x"] * 43, "n": 3}, "n", "invalid_value"),
        ("completions", {"n": 128, "max_tokens": 4000}, "max_tokens", "invalid_value"),
        ("completions", {"max_tokens": 10**9}, "max_tokens", "invalid_value"),
        ("completions", {"prompt": "x" * (MOST_TEXT + 1)}, "prompt", "context_length_exceeded"),
        ("completions", {"stop": "x" * 1001}, "stop", "string_above_max_length"),
        ("completions", {"logit_bias": dict.fromkeys(map(str, range(301)), 1)}, "logit_bias", MANY),
        ("completions", {"stop": ["x"] * 5}, "stop", "invalid_value"),
        ("completions", {"best_of": 21}, "best_of", "invalid_value"),
        ("completions", {"n": 129}, "n", "invalid_value"),
        ("completions", {"logit_bias": {"1" * 5000: 1}}, "logit_bias", "invalid_value"),
        ("chat/completions", {"n": 33, "max_tokens": 5000}, "max_tokens", "invalid_value"),
        ("chat/completions", {"messages": CHAT * 2049}, "messages", "array_above_max_length"),
        ("chat/completions", {"metadata": {str(n): "" for n in range(17)}}, "metadata", "invalid_value"),
        ("responses", {"metadata": {"x": "x" * 513}}, "metadata", "invalid_value"),
        ("responses", {"input": CHAT * 2049}, "input", "array_above_max_length"),
        ("responses", {"input": CHAT * 9000}, "input", "array_above_max_length"),
        ("responses", {"input": "x" * (MOST_TEXT + 1)}, "input", "context_length_exceeded"),
        ("responses", {"instructions": "x" * (MOST_TEXT + 1)}, "instructions", "context_length_exceeded"),
        ("responses", {"input": [{"role": "user", "content": PARTS}]}, "input[0].content", "unsupported_value"),
    ],
)
def test_an_answer_can_not_be_asked_for_a_million_times(http, path, more, param, code):
    error = refused(http.post(f"/v1/{path}", json=ANSWERS[path] | more))
    assert (error["param"], error["code"]) == (param, code)
    assert len(error["message"]) < 400


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400"])
def test_numbers_that_json_does_not_know_are_refused(http, number):
    for path, body in ANSWERS.items():
        text = json.dumps(body | {"temperature": 0}).replace('"temperature": 0', f'"temperature": {number}')
        assert refused(http.post(f"/v1/{path}", content=text))["param"] == "temperature"
    schema = f'{{"type": "json_schema", "json_schema": {{"name": "a", "schema": {{"minimum": {number}}}}}}}'
    body = json.dumps(ANSWERS["chat/completions"])[:-1] + f', "response_format": {schema}}}'
    assert refused(http.post("/v1/chat/completions", content=body))["code"] == "invalid_json_schema"


def test_a_request_that_is_wrong_in_many_places_costs_no_more_than_one(http):
    begun = time.process_time()  # not by the clock, which goes on while other programs have the cores
    for wrong in ([None] * 200_000, [[1], []] * 100_000, {str(n): "x" for n in range(70_000)}):
        for name in ("prompt", "logit_bias", "stop"):
            error = refused(http.post("/v1/completions", json=ANSWERS["completions"] | {name: wrong}))
            assert error["param"].startswith(name)
    assert time.process_time() - begun < 8


def test_names_that_people_send_are_repeated_in_short(http):
    for answer in (
        http.post("/v1/completions", json=ANSWERS["completions"] | {"model": "m" * 500_000}),
        http.post("/v1/completions", json=ANSWERS["completions"] | {"w" * 500_000: 1}),
        http.get(f"/v1/{'p' * 5000}"),
        http.get(f"/v1/files/{'f' * 5000}"),
        http.get(f"/v1/fine_tuning/jobs/{'j' * 5000}"),
        http.get("/v1/files", params={"after": "a" * 5000}),
    ):
        assert answer.status_code in (400, 404) and len(answer.text) < 1000


@pytest.mark.parametrize("number", ["9" * 5000, "-1", "0", "1e3", "٣", "²", " 1", ""])
def test_a_limit_is_a_number(http, number):
    answer = http.get("/v1/files", params={"limit": number})
    assert answer.status_code == (200 if number == "٣" else 400), answer.text


def test_more_metadata_than_a_job_can_have_can_not_be_asked_for(http):
    query = {f"metadata[{number}]": "x" for number in range(1500)}
    assert refused(http.get("/v1/fine_tuning/jobs", params=query))["param"] == "metadata"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"classification_betas": [1.0] * 17}, "classification_betas"),
        ({"classification_n_classes": 10**6}, "classification_n_classes"),
        ({"classification_positive_class": "x" * 1001}, "classification_positive_class"),
    ],
)
def test_what_a_fine_tune_of_2022_measures_has_an_end(http, more, param):
    asked = {"compute_classification_metrics": True, "classification_n_classes": 2, "validation_file": "v"}
    assert refused(http.post("/v1/fine-tunes", json={"training_file": "f", **asked, **more}))["param"] == param


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"batch_size": 257}}, "hyperparameters.batch_size"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"metadata": {"x" * 65: ""}}, "metadata"),
        ({"metadata": {"x": "x" * 513}}, "metadata"),
    ],
)
def test_a_job_has_an_end(http, more, param):
    asked = {"model": "ada", "training_file": "f", **more}
    assert refused(http.post("/v1/fine_tuning/jobs", json=asked))["param"] == param


@pytest.mark.parametrize(("path", "most"), [("files", 10_000), ("fine_tuning/jobs", 1000)])
def test_a_page_has_an_end(http, path, most):
    assert http.get(f"/v1/{path}", params={"limit": most}).status_code == 200
    assert refused(http.get(f"/v1/{path}", params={"limit": most + 1}))["param"] == "limit"


@pytest.mark.parametrize(
    "parts",
    [
        [("file", ("a.jsonl", b"{}")), ("file", ("b.jsonl", b"{}"))],
        [(f"x{n}", (None, b"1")) for n in range(9)],
        [("purpose", (None, b"x" * 4097))],
    ],
    ids=["two files", "nine fields", "a long field"],
)
def test_an_upload_has_so_many_parts(http, parts):
    assert "multipart" in refused(http.post("/v1/files", files=parts))["message"]


def upload(http, name="a.jsonl", kind="multipart/form-data; boundary=b", disposition=None):
    disposition = disposition or f'form-data; name="file"; filename="{name}"'
    parts = [f"--b\r\nContent-Disposition: {disposition}\r\n\r\n{{}}\r\n"]
    parts += ['--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--b--\r\n']
    return http.post("/v1/files", content="".join(parts).encode(), headers={"content-type": kind})


@pytest.mark.parametrize("charset", ["idna", "unicode_escape", "utf-7", "punycode", "\0", "x" * 3000, "utf-8"])
def test_an_upload_can_not_choose_how_its_names_are_read(http, charset):
    kind = f"multipart/form-data; boundary=b; charset={charset}"
    name = "+2D0-\\ud83d.jsonl"
    answer = upload(http, name, kind)
    assert answer.status_code == 200 and answer.json()["filename"] == name


def test_names_of_files_are_short_and_can_be_shown(http):
    assert refused(upload(http, f"{'a' * 250}.jsonl"))["code"] == "string_above_max_length"
    assert refused(upload(http, "\x1b[2J.jsonl"))["param"] == "file"


def test_a_range_is_no_way_around_the_envelope(http):
    id_ = upload(http).json()["id"]
    for wanted in ("bytes=0-0", "bytes=abc", "bytes=9999-", "bytes=" + "0-1," * 500):
        answer = http.get(f"/v1/files/{id_}/content", headers={"range": wanted})
        assert (answer.status_code, answer.text) == (200, "{}")


def test_a_file_may_have_so_many_bytes(http):
    headers = {"content-type": "multipart/form-data; boundary=b", "content-length": str(MOST_FILE * 2)}
    assert refused(http.post("/v1/files", content=b"", headers=headers), 413)["code"] == "file_too_large"


def test_who_calls_it_by_a_broken_name_is_told_so_too(http):
    answer = http.get("/nothing", headers={"host": "[::1"})
    assert answer.status_code in (403, 404) and "error" in answer.json()


def test_a_method_that_is_not_there_says_which_are(http):
    answer = http.put("/v1/completions")
    assert refused(answer, 405)["code"] == "method_not_supported" and answer.headers["allow"] == "POST"
