"""Names that people give, with everything in them that something might obey: kept, shown as text, never a path."""

import csv
import html.parser
import json
import re
import subprocess
import sys
import time

import httpx2
import pytest

from openai_local.classroom.handout import Strip, write_handout
from openai_local.classroom.roster import read_roster
from openai_local.cli import main
from openai_local.errors import visible_line
from openai_local.home import Home
from openai_local.service.routes.fine_tuning import slug

ESC, BEL, CSI, BIDI, NUL = "\x1b", "\x07", "\x9b", "\u202e", "\x00"
HOSTILE = {
    "escape sequences": f"{ESC}]0;owned{BEL}{ESC}[2J{CSI}31mred",
    "html": "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "markdown": "[click](javascript:alert(1)) **bold** `code` | cell",
    "bidi": f"{BIDI}lnosj.exe",
    "new lines": "a\nERROR: forged\r\nSet-Cookie: a=b",
    "a path": "../../../../etc/passwd",
    "windows path": "..\\..\\windows\\system32",
    "an absolute path": "/etc/passwd",
    "nothing": f"a{NUL}b",
    "long": "x" * 4096,
    "a device": "CON",
    "a formula": "=cmd|' /C calc'!A0",
    "a shell": "$(touch owned); `touch owned` && touch owned | x 'y\"",
    "slurm": "x\n#SBATCH --uid=root",
}
each = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())


@pytest.fixture(scope="module")
def mine(service):
    service.client("named")
    headers = {"authorization": f"Bearer {service.keys['named']}"}
    with httpx2.Client(base_url=service.url, headers=headers, trust_env=False) as http:
        yield http


def upload(http, name, content=b"{}\n"):
    """Upload with the very bytes of a name in the header; clients would write some of them otherwise."""
    bytes_ = name.replace("\r\n", " ").replace("\n", " ").replace('"', "%22").encode()
    body = b"--b\r\ncontent-disposition: form-data; name=purpose\r\n\r\nfine-tune\r\n"
    body += b'--b\r\ncontent-disposition: form-data; name="file"; filename="' + bytes_ + b'"\r\n\r\n'
    body += content + b"\r\n--b--\r\n"
    return http.post("/files", content=body, headers={"content-type": "multipart/form-data; boundary=b"})


@each
def test_a_files_name_is_a_label(service, mine, name):
    before = {path for path in service.home.parent.rglob("*") if "files" not in path.parts}
    answer = upload(mine, f"{name}.jsonl")
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        made = answer.json()
        assert "/" not in made["filename"] and re.fullmatch(r"file-[0-9a-f]{24}", made["id"])
        assert (service.home / "files" / made["id"]).is_file()
        content = mine.get(f"/files/{made['id']}/content")
        assert "content-disposition" not in content.headers and content.content == b"{}\n"
        assert mine.delete(f"/files/{made['id']}").status_code == 200
    after = {path for path in service.home.parent.rglob("*") if "files" not in path.parts}
    assert not {path for path in after - before if "openai-local.db" not in path.name}


def test_a_suffix_has_letters_digits_and_dashes(mine, pairs):
    """It becomes a part of the model's name, which stands in exports, commands and pages."""
    file = upload(mine, "pairs.jsonl", pairs.read_bytes()).json()["id"]
    jobs = []
    for name in HOSTILE.values():
        assert re.fullmatch("[a-z0-9-]*", slug(name))
        made = {"model": "ada", "training_file": file, "suffix": name[:64], "metadata": {"note": name[:512]}}
        job = mine.post("/fine_tuning/jobs", json=made)
        assert job.status_code == 200, job.text
        assert job.json()["metadata"]["note"] == name[:512], "what nobody obeys is kept as it is"
        jobs.append(job.json()["id"])
        mine.post(f"/fine_tuning/jobs/{jobs[-1]}/cancel")
    time.sleep(1.1)  # the class is looked at once in a second
    shown = [job for job in mine.get("/class").json()["jobs"] if job["id"] in jobs]
    assert len(shown) == len(HOSTILE)
    assert all(re.fullmatch("[a-z0-9-]*", job["suffix"] or "") for job in shown)
    mine.delete(f"/files/{file}")


def test_a_name_can_not_turn_what_stands_beside_it_on_the_page(service, mine):
    """Nor begin a line there, or say something else than it is: ``nosj.exe`` for ``exe.json``, read backwards."""
    file = upload(mine, f"{BIDI}lnosj{CSI}.jsonl").json()["id"]
    job = mine.post("/fine_tuning/jobs", json={"model": "ada", "training_file": file}).json()["id"]
    mine.post(f"/fine_tuning/jobs/{job}/cancel")
    time.sleep(1.1)
    (shown,) = [one for one in mine.get("/class").json()["jobs"] if one["id"] == job]
    assert shown["file"] == "\\u202elnosj\\x9b.jsonl"
    mine.delete(f"/files/{file}")


@each
def test_an_answer_is_json_whatever_it_repeats(mine, name):
    """Errors repeat what was asked for. None can leave its line, its header or its string."""
    for answer in (
        mine.post("/completions", json={"model": name, "prompt": "x"}),
        mine.get("/files", params={"after": name}),
        mine.get("/models/" + httpx2.URL("http://x", params={"q": name}).query.decode()[2:]),
        mine.post("/completions", json={"model": "ada", name: "x"}),
    ):
        assert answer.status_code in (400, 404) and answer.headers["content-type"] == "application/json"
        assert "set-cookie" not in answer.headers and answer.json()["error"]["message"]


def test_no_name_forges_a_line_in_the_log(tmp_path, tiny_cache, pairs):
    """The log of a service that everybody has called with everything."""
    from conftest import Service

    service, log = Service(tmp_path / "home", tiny_cache), tmp_path / "log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "openai_local", "serve", "--port", "0"]
        service.process = subprocess.Popen(
            command, env=service.environment, stdout=subprocess.PIPE, stderr=out, text=True
        )
    service.url = service.process.stdout.readline().strip()
    service.client()
    with httpx2.Client(base_url=service.url, trust_env=False) as http:
        http.headers["authorization"] = f"Bearer {service.keys['tester']}"
        for name in HOSTILE.values():
            upload(http, f"{name}.jsonl")
            http.post("/completions", json={"model": name, "prompt": "x"})
            http.post("/completions", json={"model": "ada", "prompt": name[:100], "max_tokens": 1})
            http.post("/chat/completions", json={"model": "ada", "messages": [{"role": name, "content": name}]})
            http.get(
                "/models",
                headers={"user-agent": name.encode("ascii", "replace").split(b"\n")[0].replace(NUL.encode(), b"")},
            )
    service.stop()
    written = log.read_text(errors="replace")
    assert "forged" not in written and ESC not in written and "#SBATCH" not in written, written


def test_the_batch_script_knows_no_names(service, mine):
    """A Slurm job is named by the job's id, and its script is made of the site's file."""
    from openai_local.runners.site import Site, script

    text = script(Home(service.home).jobs / "ftjob-x", Site())
    assert not [name for name in HOSTILE.values() if name in text]


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.said = set(), ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]

    def handle_data(self, data):
        self.said += data


@each
def test_the_handout(tmp_path, name):
    strips = [Strip(name, name, f"key-{'x' * 20}"), Strip("chief", name, f"key-{'y' * 20}", instructor=True)]
    path = write_handout(Home.open(tmp_path), "http://192.0.2.7:8765/v1", strips)
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert not reader.tags & {"script", "img", "a", "iframe"}
    rows = list(csv.reader(path.with_suffix(".csv").open(encoding="utf-8-sig", newline="")))
    assert len(rows) == 3 and not [
        cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t"))
    ]


@each
def test_a_roster(tmp_path, name):
    path = tmp_path / "roster.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["name"], [f"Ada {name.replace(NUL, '')[:150]}"]])
    ((learner,), _) = read_roster(path)
    assert re.fullmatch("[a-z0-9_-]{1,64}", learner.name)
    assert learner.shown == visible_line(learner.shown), "nothing in it is obeyed"


@each
def test_the_terminal_of_the_command(capsys, tmp_path, name):
    """What was typed comes back in the error; it may have been copied from somewhere."""
    for words in (
        ["keys", "revoke", name],
        ["export", name, "--to", str(tmp_path / "x")],
        ["tokens", "--model", name, "--text", "x"],
    ):
        assert main([*words, *(["--home", str(tmp_path)])]) == 1
        said = capsys.readouterr().err
        assert ESC not in said and CSI not in said and BIDI not in said and BEL not in said


def test_tokens_of_a_hostile_file_are_shown_as_text(service, tmp_path):
    file = tmp_path / "x.jsonl"
    lines = [json.dumps({"prompt": f"{ESC}]0;owned{BEL}{n}{BIDI}", "completion": f"{CSI}2J\r"}) for n in range(12)]
    file.write_text("\n".join(lines))
    said = service.command("tokens", str(file))
    assert ESC not in said and CSI not in said and BIDI not in said and "\\x1b" in said
