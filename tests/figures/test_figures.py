import xml.etree.ElementTree as ElementTree

import pandas as pd

from openai_figures.progress import Card, Progress
from openai_figures.tables import text_table


def test_the_line_and_the_picture_say_the_same():
    progress = Progress("ft:<x>", "running", 30, 120, losses=[(n, 3.0 / n) for n in range(1, 31)])
    assert "step 30/120" in progress.text() and "loss 0.1" in progress.text() and "██████·" in progress.text()
    picture = ElementTree.fromstring(progress.card().svg)
    words = " ".join(picture.itertext())
    assert "step 30 of 120" in words and "ft:<x>" in words
    curve = next(e for e in picture.iter() if e.tag.endswith("polyline")).get("points").split()
    heights = [float(point.split(",")[1]) for point in curve]
    assert len(curve) == 30 and heights == sorted(heights), "a falling loss goes down the page"


def test_nothing_is_known_yet():
    assert "step 0/?" in Progress(state="queued").text()
    ElementTree.fromstring(Progress().card().svg)


def test_a_terminal_gets_one_line_in_place(capsys):
    card, progress = Card(), Progress(state="running", total_steps=4)
    for step in range(3):
        progress.step = step
        card.show(progress.text(), progress.card)
        card.show(progress.text(), progress.card)
    card.close()
    shown = capsys.readouterr().err
    assert shown.count("\r") == 3 and shown.endswith("\n") and "step 2/4" in shown


def test_tables_as_text_are_wrapped():
    text = text_table(pd.DataFrame([("one two three", "x")], columns=["a", "b"]), (8, 3))
    assert text.splitlines() == ["a        │ b", "─────────┼────", "one two  │ x", "three    │"]


def test_who_waits_is_told_the_place():
    progress = Progress(state="queued", place="3 jobs are before yours, it starts in about 12 min")
    assert "3 jobs are before yours, it starts in about 12 min" in progress.text()
    assert "3 jobs are before yours" in progress.card().svg
    progress.state = "running"
    assert "before yours" not in progress.text() + progress.card().svg


def test_the_place_in_the_queue_comes_with_an_event():
    message = "Jobs ahead in the queue: 3. This one starts in about 12 min."
    for data, said in (({"jobs_ahead": 3}, message), ({"status": "running"}, ""), (None, "")):
        progress = Progress()
        progress.note(message, data)
        assert progress.place == said
