"""What -t and -v may name: an id, a path, an address on the web."""

import io
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from openai_command.training_files import TrainingFiles, require
from openai_data import downloading
from openai_data.downloading import download
from openai_lesson import LessonError

PAIRS = b'{"prompt": "a", "completion": " b"}\n'


class Web(BaseHTTPRequestHandler):
    """A page, a file, and nothing else."""

    def do_GET(self):
        kind = "text/html" if self.path == "/page.jsonl" else "application/octet-stream"
        self.send_response(404 if "none" in self.path else 200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAIRS)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def web():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_file_is_fetched_from_the_web_and_uploaded_under_its_name(client, web):
    said = io.StringIO()
    files = TrainingFiles(client, partial(print, file=said))
    id_ = files.id_of(f"{web}/my%20data.jsonl?raw=true")
    assert said.getvalue().endswith(f"Uploaded file from {web}/my%20data.jsonl?raw=true: {id_}\n")
    assert client.files.retrieve(id_).filename == "my data.jsonl" and client.files.content(id_).content == PAIRS
    assert client.files.retrieve(files.id_of(f"{web}/download?id=7")).filename == "download.jsonl"


def test_what_can_not_be_fetched_is_a_sentence(web, monkeypatch):
    monkeypatch.setattr(downloading, "MOST_BYTES", 10)
    for url, said in (
        (f"{web}/none.jsonl", r"none\.jsonl can't be fetched: Not Found\. Download it in your browser"),
        (f"{web}/page.jsonl", "is a web page, not a file"),
        (f"{web}/large.jsonl", "is larger than 512 MB"),
        ("http://127.0.0.1:9/x.jsonl", "can't be fetched: .*refused"),
        ("http://[x", "can't be fetched"),
    ):
        with pytest.raises(LessonError, match=said), download(url):
            pass


def test_missing_and_unprepared_files_get_the_next_thing_to_type(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("prompt,completion\n")
    (tmp_path / "cat_prepared.jsonl").write_bytes(PAIRS)
    for name, said in (
        ("none.jsonl", "There is no file none.jsonl in .*openai tools fine_tunes.prepare_data -f YOUR_FILE"),
        ("cat.csv", "Did you mean that"),
        ("data.csv", "Prepare it first:  openai tools fine_tunes.prepare_data -f data.csv"),
        ("https://models.example/data.CSV", "Prepare it first"),
        (str(tmp_path), "is a folder"),
    ):
        with pytest.raises(LessonError, match=said):
            require(name, None)
    require("cat_prepared.jsonl", "file-123", "https://models.example/data.jsonl")


def test_an_id_is_taken_as_it_is(client, pairs):
    files = TrainingFiles(client, lambda _: pytest.fail("nothing is uploaded"))
    assert files.id_of("file-123abc") == "file-123abc"


def test_unchecked_files_are_uploaded_at_once(client, pairs):
    said = []
    files = TrainingFiles(client, said.append, check=False)
    first, second = files.id_of(str(pairs)), files.id_of(str(pairs))
    assert first != second and [line.split(":")[0] for line in said] == [f"Uploaded file from {pairs}"] * 2
