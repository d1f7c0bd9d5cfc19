"""Tokens and histograms as one sees them: in a notebook, and as plain text."""

import json
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from openai_data.token_view import LONGEST, show_example, show_tokens
from openai_data.tokens import Lengths
from openai_figures.charts import histogram
from openai_lesson import LessonError

TIMES = "\N{MULTIPLICATION SIGN}"
OURS = "The tokens are those of the base model on this machine."


@pytest.fixture(autouse=True)
def _tiny(tiny_cache, monkeypatch):
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))


@pytest.fixture
def write(tmp_path):
    def write(*records):
        path = tmp_path / "train.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        return path

    return write


class Page(HTMLParser):
    """The boxes of a figure: `boxes` holds their text, title and whether they are underlined; `tags` all tags."""

    def __init__(self, html):
        super().__init__()
        self.boxes, self.tags, self._open = [], set(), None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "code" and "title" in dict(attributes):
            self._open = ["", dict(attributes), False]
        if tag == "u" and self._open:
            self._open[2] = True

    def handle_endtag(self, tag):
        if tag == "code" and self._open:
            self.boxes.append(self._open)
            self._open = None

    def handle_data(self, data):
        if self._open:
            self._open[0] += data


def test_a_text_in_boxes():
    figure = show_tokens("in the é")
    assert figure.text.splitlines()[0] == f"in│ the│ │é{TIMES}2│"
    assert figure.text.endswith(f"5 tokens. {OURS}") and "so many tokens make this piece" in figure.text
    page = Page(figure.html)
    assert [text for text, *_ in page.boxes] == ["in", "·the", "·", f"é{TIMES}2"]
    styles = [attributes["style"] for _, attributes, _ in page.boxes]
    assert all(one != other for one, other in pairwise(styles)), "neighbours look alike"
    assert all("color:inherit" in style for style in styles)
    titles = [attributes["title"] for _, attributes, _ in page.boxes]
    assert titles[0].startswith("token ") and titles[3].count(",") == 1
    assert "the loss" not in figure.html and "text/html" in figure._repr_mimebundle_()


def test_what_can_not_be_seen_is_made_visible():
    figure = show_tokens("a\n\tb\u200b")
    assert figure.text.splitlines()[:2] == ["a│⏎│", f"→│b│U+200B{TIMES}3│"]
    assert "⏎" in figure.html and "<br>" in figure.html and "\u200b" not in figure.html


def test_html_is_escaped():
    figure = show_tokens("<script>alert(1)</script> & <b>")
    page = Page(figure.html)
    assert page.tags <= {"div", "code", "span", "u", "sub", "br", "wbr"}
    assert "".join(text for text, *_ in page.boxes) == "<script>alert(1)</script>·&·<b>"
    assert figure.html.count("&lt;") == 3 and "&amp;" in figure.html


def test_an_example_shows_what_counts(write):
    figure = show_example(write({"prompt": "the", "completion": " in<"}))
    assert figure.text.splitlines()[0] == "t│he│[ ][in][<][<|im_end|>]"
    assert figure.text.endswith(f"Line 1 of train.jsonl: 6 tokens. The loss counts 4 of them. {OURS}")
    page = Page(figure.html)
    assert [(text, counts) for text, _, counts in page.boxes] == [
        ("t", False),
        ("he", False),
        ("·", True),
        ("in", True),
        ("<", True),
        ("<|im_end|>", True),
    ]
    for words in ("the model reads these", "the loss counts these"):
        assert words in figure.html and words in figure.text


def test_a_chat_with_two_answers(write):
    said = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    messages = [{"role": role, "content": content} for role, content in said]
    path = write({"messages": [messages[0], messages[1]]}, {"messages": messages})
    counted = [text for text, _, counts in Page(show_example(path, 2).html).boxes if counts]
    assert counted == ["b", "<|im_end|>", "d", "<|im_end|>"]
    assert "[b][<|im_end|>]⏎│\n" in show_example(path, line=2).text


def test_long_lines_are_wrapped():
    lines = show_tokens("the " * 300).text.splitlines()
    assert len(lines) > 10 and max(map(len, lines)) <= 100


def test_what_can_not_be_shown_is_one_sentence(write, tmp_path):
    path = write({"prompt": "a", "completion": "b"}, {"prompt": "a"})
    good = path.with_name("good.jsonl")
    good.write_text('{"prompt": "a", "completion": "b"}\n')
    for call, sentence in (
        (lambda: show_example(tmp_path / "none.jsonl"), "There is no file"),
        (lambda: show_example("-x.jsonl"), "There is no file -x.jsonl"),
        (lambda: show_example(path), "Line 2: 'completion' is missing or no text"),
        (lambda: show_example(good, 7), "has no example in line 7"),
        (lambda: show_tokens("x" * (LONGEST + 1)), "Show at most 8,000 at once"),
        (lambda: show_tokens("a\0b"), "null character"),
        (lambda: show_tokens("a\ud83d"), "half a character"),
    ):
        with pytest.raises(LessonError) as error:
            call()
        assert sentence in str(error.value) and "\n" not in str(error.value)


def test_texts_that_look_like_options():
    assert show_tokens("--json").text.startswith("-│-│j│")
    assert show_tokens("").text.endswith(f"0 tokens. {OURS}")


def test_lengths_are_a_histogram():
    lengths = Lengths(np.array([3, 4, 4, 20, 1100]), 1131, True)
    bundle = lengths._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    assert bundle["text/plain"] == repr(lengths) and "\n".join(lengths.bars()) in repr(lengths)
    words = list(ElementTree.fromstring(bundle["image/svg+xml"]).itertext())
    assert {"tokens in an example", "how many examples", "4", "1", "3\N{EN DASH}140"} <= set(words)
    sampled = Lengths(np.array([3, 4]), 9000, False)._repr_mimebundle_()
    assert all("how many of 2 examples" in form for form in sampled.values())


def test_bars_are_as_long_as_what_they_count():
    picture = ElementTree.fromstring(histogram([(1, 2, 5), (3, 4, 10), (5, 6, 0)], "things", "a < b"))
    bars = [e for e in picture if e.tag.endswith("rect")]
    lengths = [float(bar.get("width")) for bar in bars]
    assert lengths[1] == 2 * lengths[0] > 0 == lengths[2]
    assert len({bar.get("x") for bar in bars}) == 1, "they begin on one line"
    ElementTree.fromstring(histogram([(7, 7, 0)], "things", "one value, and nothing there"))
