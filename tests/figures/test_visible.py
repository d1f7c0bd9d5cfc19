"""What others wrote, on the learner's screen: a terminal obeys nothing of it, and a page runs nothing of it."""

import html.parser
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pandas as pd
import pytest

from openai_command.openai import main
from openai_data import analyse
from openai_data.downloading import name_of
from openai_figures import visible
from openai_figures.boxes import Box
from openai_figures.boxes import figure as in_boxes
from openai_figures.charts import Bar, bars
from openai_figures.confidence import Token
from openai_figures.progress import Progress
from openai_figures.tables import Listing, text_table
from openai_kernel.magics import _row
from openai_lesson.playground import Pane

ESC, CSI, BEL, BIDI = "\x1b", "\x9b", "\x07", "\u202e"
HOSTILE = f'{ESC}]0;owned{BEL}{CSI}2J{BIDI}<img src=x onerror="x"><script>x</script>&amp;\x00'
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Reader(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name == "src"]


def test_codes_in_place_of_what_is_obeyed():
    assert visible.sentence(f"a{ESC}[2J\n\tb{BIDI}") == "a\\x1b[2J\n\tb\\u202e"
    assert visible.line("a\nb\t\u2028") == "a\\nb\\t\\u2028"
    assert visible.answer(f"\u05d0\u200f{ESC}\n") == "\u05d0\u200f\\x1b\n"
    assert visible.json_text(f'"{BIDI}{CSI}é"') == '"\\u202e\\u009bé"'


@pytest.fixture
def hostile(client):
    """A job with such a note."""
    file = client.files.create(file=("x.jsonl", b"{}\n"), purpose="fine-tune").id
    return client.fine_tuning.jobs.create(training_file=file, model="ada", metadata={"note": HOSTILE[:-1]}).id


def test_a_terminal_gets_nothing_to_obey(service, client, hostile):
    """The commands in a terminal of their own (a pseudo-terminal): what comes out is what a terminal would get."""
    pty = pytest.importorskip("pty")
    environment = os.environ | {"OPENAI_BASE_URL": service.url, "OPENAI_API_KEY": client.api_key}
    jobs = [["fine_tuning.jobs.list", "-l", "1"], ["fine_tuning.jobs.retrieve", "-i", hostile]]
    for words in (*jobs, ["models.get", "-i", HOSTILE[:-1]]):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "openai_command.openai", "api", *words]
        process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 65536):
                said += piece
        except OSError:  # the other side was closed
            pass
        process.wait()
        os.close(ours)
        text = said.decode().replace("\r\n", "\n")
        assert not OBEYED.search(text) and BIDI not in text, text
        assert "owned" in text, "else nothing was shown"


def test_what_a_file_holds_and_a_model_says_is_shown_as_text_in_a_terminal(monkeypatch, capsys):
    from openai_command.api_words import speak

    speak(f"{ESC}x")
    assert capsys.readouterr().out == f"{ESC}x", "a pipe gets it as it is"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    speak(f"{ESC}x")
    assert capsys.readouterr().out == "\\x1bx"


def test_figures_and_tables():
    progress = Progress(HOSTILE, HOSTILE, 1, 2, place=HOSTILE, log=[HOSTILE], losses=[(1, 1.0)])
    ElementTree.fromstring(progress.card().svg)
    figure = bars(HOSTILE, {HOSTILE: [Bar(HOSTILE, 1.0, 0.5, "#000", HOSTILE)]}, HOSTILE, HOSTILE)
    for svg in (progress.card().svg, figure.svg):
        assert not Reader(svg).tags & {"img", "script"}
        assert not {e.tag.rpartition("}")[2] for e in ElementTree.fromstring(svg).iter()} & {"img", "script"}
    frame = pd.DataFrame([[HOSTILE, HOSTILE]], columns=["a", "b"])
    assert not OBEYED.search(text_table(frame, (20, 20)))
    pane = Pane(HOSTILE, HOSTILE)
    pane.tokens = [Token(HOSTILE, 0.5, ((HOSTILE, 0.4),))]
    pane.draw(True)
    pages = [
        Listing(pd.DataFrame([[HOSTILE] * 3], columns=["question", "base", "trained"]), (9, 9, 9))._repr_html_(),
        in_boxes([Box(HOSTILE, (1, 2), True)], HOSTILE, legend=True).html,
        pane.widget.value,
    ]
    for page in pages:
        assert not Reader(page).tags & {"img", "script"}
    error = SimpleNamespace(message=HOSTILE)
    job = SimpleNamespace(id="1", created_at=1, status="failed", model=HOSTILE, fine_tuned_model=None, error=error)
    for text in (*_row(job).values(), in_boxes([Box(HOSTILE, (1,))], "", legend=False).text):
        assert not OBEYED.search(text)


@pytest.mark.usefixtures("machine")
def test_a_hostile_data_set_in_prepare_data(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [
        (f"Which {n}?{HOSTILE[:-1]}", [f"yes{ESC}[2J", "$(touch owned)`touch owned`"][n % 2]) for n in range(40)
    ]
    pd.DataFrame(rows, columns=["prompt", "completion"]).to_csv("x.csv", index=False)
    assert main(["tools", "fine_tunes.prepare_data", "-f", "x.csv", "-q"]) == 0
    said = capsys.readouterr()
    assert not OBEYED.search(said.out + said.err) and "\\x1b" in said.out
    assert not Reader(analyse("x.csv")._repr_html_()).tags & {"img", "script"}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no bash")
@pytest.mark.usefixtures("machine")
def test_a_command_to_copy_does_nothing_but_what_it_says(tmp_path, monkeypatch, capsys):
    """A class in the data, and a file's name, stand in the command that is suggested."""
    monkeypatch.chdir(tmp_path)
    bad = "$(touch owned)`touch owned`\";touch owned;'"
    rows = [(f"Which is number {n}?", [bad, "no"][n % 3 == 0]) for n in range(60)]
    file = "x$(touch owned).csv"
    pd.DataFrame(rows, columns=["prompt", "completion"]).to_csv(file, index=False)
    assert main(["tools", "fine_tunes.prepare_data", "-f", file, "-q"]) == 0
    (command,) = (line[2:] for line in capsys.readouterr().out.splitlines() if line.startswith("> openai"))
    assert "classification_positive_class" in command
    words = subprocess.run(
        ["bash", "-c", f'openai() {{ printf "%s\\n" "$@"; }}\n{command}'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert not (tmp_path / "owned").exists()
    assert f" {bad}" in words or bad in words
    assert [word for word in words if word.endswith(".jsonl")] == [
        str(p) for p in ("x$(touch owned)_prepared_train.jsonl", "x$(touch owned)_prepared_valid.jsonl")
    ]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.example/data.csv?x=/y", "data.csv"),
        ("https://a.example/..%5C..%5Cstart%5Cx.csv", ".._.._start_x.csv"),
        ("https://a.example/..%2F..%2Fx.csv", "x.csv"),
        ("https://a.example/C%3Ax.csv", "C_x.csv"),
        ("https://a.example/%24(touch%20x)%60.csv", "_(touch x)_.csv"),
        ("https://a.example/a%00b%1B.csv", "a_b_.csv"),
        ("https://a.example/%C3%A9t%C3%A9%20(1).csv", "été (1).csv"),
        (f"https://a.example/{'x' * 4096}.csv", "x" * 116 + ".csv"),
    ],
)
def test_the_name_of_a_download_leads_nowhere(url, name):
    assert name_of(url) == name
