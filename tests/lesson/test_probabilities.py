import math
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest

import openai_lesson as lesson
from openai_figures.confidence import Answer, Token, coloured
from openai_lesson.asking import how_sure, stream

ANSWER = Answer(
    (
        Token(" Sin", 0.95, ((" Man", 0.02),)),
        Token(" <b>", 0.4, ((" is", 0.35), ("", 0.1))),
        Token("\n", 0.7),
        Token("&", 0.05),
    ),
)


@pytest.mark.parametrize("base", [False, True])
def test_the_tokens_are_the_answer_and_each_has_its_probability(client, trained, base):
    model = "ada" if base else trained.fine_tuned_model
    answer = how_sure(client, "What is moon?", model, max_tokens=12)
    assert answer.text == lesson.ask(client, "What is moon?", model, max_tokens=12)
    assert "".join(token.text for token in answer.tokens).strip() == answer.text
    for token in answer.tokens:
        assert 0 < token.probability <= 1
        assert token.others
        # Several tokens that are no whole character look alike.
        assert token.text == "\N{REPLACEMENT CHARACTER}" or token.text not in [text for text, _ in token.others]
        assert all(0 <= other <= token.probability for _, other in token.others), "at 0 the likeliest is said"
        shares = [other for _, other in token.others]
        assert shares == sorted(shares, reverse=True) and token.probability + sum(shares) <= 1.001


def test_a_probability_is_e_to_the_log_probability(client, trained):
    said = client.completions.create(
        model=trained.fine_tuned_model, prompt="What is moon?", max_tokens=6, temperature=0, logprobs=5
    )
    answer = how_sure(client, "What is moon?", trained.fine_tuned_model, max_tokens=6)
    expected = [math.exp(logprob) for logprob in said.choices[0].logprobs.token_logprobs]
    assert [token.probability for token in answer.tokens] == pytest.approx(expected, abs=0.01)


def test_the_picture_escapes_and_tells_unsure_tokens_without_colour():
    page = ElementTree.fromstring(f"<div>{coloured(ANSWER.tokens)}</div>")
    spans = page.findall("span")
    assert "".join(page.itertext()) == "Sin <b>↵\n&", "the words are there, and nothing else"
    assert [span.find("u") is not None for span in spans] == [False, True, False, True]
    assert spans[1].get("title") == "40.0% sure; or: ␣is 35.0%   (end) 10.0%"
    styles = [span.get("style") for span in spans]
    assert len(set(styles)) == 4 and all("rgba(" in style and " color:" not in style for style in styles)
    assert "title" not in coloured(ANSWER.tokens, titles=False)


def test_a_notebook_gets_colours_and_a_terminal_a_table():
    forms = ANSWER._repr_mimebundle_()
    assert "<b>" not in forms["text/html"] and "&lt;b&gt;" in forms["text/html"]
    assert forms["text/plain"] == repr(ANSWER)
    lines = [line.split() for line in repr(ANSWER).splitlines()]
    assert ["␣Sin", "95.0%"] in lines, "a candidate under one tenth is not shown"
    assert ["␣<b>", "40.0%", "␣is", "35.0%", "(end)", "10.0%"] in lines and ["↵", "70.0%"] in lines


def chunk(**said):
    """A chunk of a stream, as a host may send it."""
    return SimpleNamespace(choices=[SimpleNamespace(**said)])


class Sent(list):
    """A stream of chunks that were made before."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def client_that_sends(*chunks):
    completions = SimpleNamespace(create=lambda **_: Sent(chunks))
    return SimpleNamespace(
        completions=completions,
        chat=SimpleNamespace(completions=completions),
        base_url="https://elsewhere.example/v1",
        api_key="abc",
    )


def test_a_character_of_several_tokens_is_one():
    said = SimpleNamespace(
        tokens=["bytes:\\xe2\\x82", "bytes:\\xac", " a"],
        token_logprobs=[math.log(0.5), math.log(0.5), 0.0],
        top_logprobs=[{"bytes:\\xe2\\x82": math.log(0.5)}, None, {" a": 0.0, " b": -2.0}],
    )
    client = client_that_sends(chunk(text="€ a", logprobs=said))
    tokens = list(stream(client, "?", "any", chat=False, max_tokens=9, probabilities=True))
    assert [token.text for token in tokens] == ["€", " a"]
    assert [token.probability for token in tokens] == pytest.approx([0.25, 1.0])
    assert tokens[1].others == ((" b", pytest.approx(math.exp(-2))),)


def test_a_host_may_tell_no_probabilities():
    client = client_that_sends(chunk(delta=SimpleNamespace(content="yes"), logprobs=None))
    with pytest.raises(lesson.LessonError, match="does not tell how sure any is"):
        how_sure(client, "?", "any")
    assert coloured([Token("a < b")]) == "a &lt; b"
