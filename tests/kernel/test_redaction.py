"""What is hidden in a text, what is not, and how printed text is put together."""

import base64
import html
import json
import random
from urllib.parse import quote

import pandas as pd
import pytest
from jupyter_client.session import Session

from openai_command.redaction import MASK, Secrets
from openai_kernel.masking import MaskedSend, masked
from openai_lesson import keys

# Put together here, so that no tool takes this file for one with a key in it.
KEY = "sk-" + "proj-Ab3dEf6hIj9kLm2nOp5qRs8tUv"
OLD = "sk-" + "abcdefghijklmnopqrstT3BlbkFJabcdefghijklmnopqrst"
LOCAL = "sk-" + "local-K_x-9dJ2mQ7vB4nL1sW8zR5t"
TOKEN = "hf_qQwWeErRtTyYuUiIoOpP"
PASSWORD = "correct horse & <battery> \"staple\" 'é'"


@pytest.fixture
def secrets(monkeypatch):
    monkeypatch.setenv("HUB_TOKEN", TOKEN)
    monkeypatch.setenv("Db_Password", PASSWORD)
    monkeypatch.setenv("SHORT_KEY", "abc")
    monkeypatch.setenv("FLAG_SECRET", "production")
    monkeypatch.setenv("PORT_KEY", "54321")
    keys.save("somewhere", "a-kept-key-1234")
    return Secrets()


@pytest.mark.parametrize("secret", [KEY, OLD, LOCAL, TOKEN, PASSWORD, "a-kept-key-1234"])
def test_secrets_are_hidden_however_they_are_written(secrets, secret):
    forms = [secret, repr(secret), json.dumps(secret), html.escape(secret), quote(secret, safe="")]
    for form in forms:
        for text in (form, f"KEY={form};", f"a {form}\nb", f"\x1b[31m{form}\x1b[0m", repr(f"x\n{secret}")):
            shown = secrets.mask(text)
            assert MASK in shown and secret not in shown and form.strip("'\"") not in shown, text


def test_keys_that_are_glued_to_something(secrets):
    for secret in (KEY, OLD, LOCAL):
        assert secrets.mask(f"Bearer{secret}") == f"Bearer{MASK}"
        assert secret not in secrets.mask(f"{TOKEN}{secret}{TOKEN}")


def test_a_table_that_cuts_off_a_secret_shows_nothing_of_it(secrets):
    long = "tok-" + "Zq8wXv3rTn6yLp1k" * 4
    secrets.add(long)
    shown = secrets.mask(str(pd.DataFrame({"key": [long, KEY * 3]})))
    assert "Zq8w" not in shown and "Ab3d" not in shown


def test_what_becomes_secret_later_and_what_was_one(secrets, monkeypatch):
    monkeypatch.setenv("NEW_SECRET", "made-just-now-77")
    secrets.refresh()
    monkeypatch.delenv("NEW_SECRET")
    secrets.refresh()
    assert secrets.mask("made-just-now-77") == MASK


ORDINARY = [
    "The production line: abc, true, 54321, task-based risk-averse desk-bound ask-me-anything.",
    '<div id="sk-container-id-123" class="sk-top-container sk-toggleable__label-arrow sk-estimator-doc-link">',
    "keys begin with sk- or with sk-proj- or sk-local-; sk-xxxxxxx is none",
    "task-01JD8YV5M2WQ9R3T7KX6B4N0PZ disk-9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "ft:smollm2-135m-instruct:lesson::d28d2ffa ada:ft-personal-2026-11-22-22-11-42 ftjob-Ab3dEf6hIj9kLm2nOp5q",
    "\r 50%|█████     | 50/100 [00:05<00:05,  9.87it/s, loss=0.123]",
    "\x1b[31m----> 1\x1b[39m \x1b[38;5;28;01mraise\x1b[39;00m ValueError(os.environ['HUB_TOKEN'])",
    "naïve café, 日本語のテキスト, 🙂, \x00\x07",
]


def corpus():
    draw = random.Random(7)
    words = "loss epoch token key secret password step train model answer question s sk sky risk".split()
    table = pd.DataFrame({"prompt": [f"What is {w}?" for w in words], "n": range(len(words))})
    log = "".join(
        f"12:{n % 60:02d}:01 step {n}/9999 {draw.choice(words)} {draw.random():.6f}\n" for n in range(3000)
    )
    image = base64.b64encode(draw.randbytes(60_000)).decode()
    page = f'<p>One &amp; two</p><img src="data:image/png;base64,{image}"><script>var sk = {{"a": [1]}};</script>'
    bundle = {"image/png": image, "text/html": table.to_html(), "application/json": {"a": [1, None, True, "x"]}}
    return [*ORDINARY, str(table), table.to_html(), table.to_json(), log, image, page, bundle]


def test_ordinary_outputs_are_unchanged(secrets):
    for text in corpus():
        assert masked(text, secrets.mask) == text


def test_pictures_and_widgets_are_not_looked_into(secrets):
    bundle = {
        "image/png": TOKEN,
        "application/vnd.jupyter.widget-view+json": {"model_id": TOKEN},
        "text/plain": TOKEN,
    }
    shown = masked(bundle, secrets.mask)
    assert shown == {**bundle, "text/plain": MASK}
    assert masked({"image/svg+xml": TOKEN}, secrets.mask) == {"image/svg+xml": MASK}


@pytest.mark.parametrize(
    ("code", "stopped"),
    [
        (f"x = '{KEY}'", True),
        (f"export OPENAI_API_KEY={OLD}", True),
        (f"# {LOCAL}", True),
        ("x = 'a-kept-key-1234'", True),
        ("export OPENAI_API_KEY=abc", False),
        ("key = 'sk-" + "x" * 30 + "'", False),
        ("OpenAI(api_key='sk-...')", False),
    ],
)
def test_which_cells_are_stopped(secrets, code, stopped):
    assert secrets.typed(code) is stopped


class Wire(Session):
    """A session that keeps what it sends."""

    def send(self, stream, msg_or_type, content=None, *args, **more):
        is_message = isinstance(msg_or_type, dict)
        kind = msg_or_type["header"]["msg_type"] if is_message else msg_or_type
        self.log.append((kind, msg_or_type["content"] if is_message else content))


@pytest.fixture
def wire(secrets):
    session = Wire()
    session.log = []
    session.send = MaskedSend(session, secrets)
    parent = {"header": {"msg_id": "1", "msg_type": "execute_request"}}

    def write(text, name="stdout"):
        session.send(None, session.msg("stream", {"name": name, "text": text}, parent=parent))

    session.write = write
    session.text = lambda name="stdout": "".join(
        c["text"] for k, c in session.log if k == "stream" and c["name"] == name
    )
    return session


@pytest.mark.parametrize("secret", [KEY, OLD, LOCAL, TOKEN, PASSWORD])
def test_a_secret_in_pieces(wire, secret):
    for at in range(1, len(secret)):
        wire.log.clear()
        for piece in ("before ", secret[:at], secret[at:], " after\n"):
            wire.write(piece)
        assert wire.text() == f"before {MASK} after\n"


def test_a_secret_letter_by_letter_and_pieces_that_end_the_cell(wire):
    for letter in f"a {KEY} b {TOKEN}":
        wire.write(letter)
    wire.send(None, "status", {"execution_state": "idle"})
    assert wire.text() == f"a {MASK} b {MASK}"


def test_half_a_secret_at_the_end_and_its_rest_afterwards(wire):
    wire.write(f"a {TOKEN[:12]}")
    wire.send(None, "display_data", {"data": {"text/plain": "x"}})
    wire.write(f"{TOKEN[12:]} b")
    assert [kind for kind, _ in wire.log] == ["stream", "stream", "display_data", "stream"]
    assert TOKEN[:8] not in wire.text() and TOKEN[12:] not in wire.text() and wire.text().endswith(" b")


def test_no_ordinary_text_is_lost_or_reordered(wire):
    draw = random.Random(3)
    texts = [text for text in corpus() if isinstance(text, str)]
    whole = {"stdout": "", "stderr": ""}
    for text in texts:
        at = 0
        while at < len(text):
            size = draw.choice((1, 2, 5, 40, 4000))
            name = draw.choice(("stdout", "stderr"))
            wire.write(text[at : at + size], name)
            whole[name] += text[at : at + size]
            at += size
    wire.send(None, "status", {"execution_state": "idle"})
    assert {name: wire.text(name) for name in whole} == whole


def test_held_text_comes_after_a_while(wire, monkeypatch):
    wire.write("it takes 5 s")
    assert wire.text() == "it takes 5 "
    wire.send.release(seconds=60)
    assert wire.text() == "it takes 5 "
    wire.send.release()
    assert wire.text() == "it takes 5 s"


def test_every_kind_of_message(wire):
    wire.send(None, "execute_result", {"data": {"text/html": f"<b>{KEY}</b>", "text/plain": TOKEN}})
    wire.send(None, wire.msg("update_display_data", {"data": {"text/plain": LOCAL}}))
    wire.send(None, "error", {"ename": "E", "evalue": KEY, "traceback": [f"x {KEY}"]})
    wire.send(None, "execute_input", {"code": f"x = {TOKEN!r}"})
    wire.send(None, "inspect_reply", {"data": {"text/plain": TOKEN}})
    wire.send(None, "stream", {"name": "stdout", "text": TOKEN})
    wire.send(None, "input_request", {"prompt": TOKEN, "password": False})
    assert not any(secret in json.dumps(wire.log) for secret in (KEY, TOKEN, LOCAL))
    wire.log.clear()
    wire.send(None, "comm_msg", {"data": {"state": {"value": TOKEN}}})
    wire.send(None, "execute_request", {"code": TOKEN})
    assert json.dumps(wire.log).count(TOKEN) == 2


def test_switched_off(wire, secrets):
    secrets.shown = True
    wire.write(KEY)
    wire.send(None, "execute_result", {"data": {"text/plain": KEY}})
    assert json.dumps(wire.log).count(KEY) == 2
