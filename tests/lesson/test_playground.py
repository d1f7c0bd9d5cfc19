import importlib
import json
import sys
from html import unescape
from types import SimpleNamespace

import openai
import pytest

import openai_lesson as lesson
from openai_figures.confidence import Token

module = importlib.import_module("openai_lesson.playground")
Playground, playground = module.Playground, module.playground

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def made(client, trained) -> Playground:
    made = Playground(client, trained.fine_tuned_model, "What is sun?")
    made.length.value = 12
    return made


@pytest.fixture
def requests(monkeypatch):
    """What the models are asked. Each says three tokens, one of them with a ``<``."""
    asked = []

    def stream(client, question, model, **how):
        asked.append({"question": question, "model": model, **how})
        yield from [Token(text, 0.3, ((" or", 0.2),)) for text in (" one", " <two>", " three")]

    monkeypatch.setattr(module, "stream", stream)
    return asked


def values(widget) -> list[str]:
    """What a widget's value becomes."""
    seen: list[str] = []
    widget.observe(lambda change: seen.append(change.new), "value")
    return seen


def test_the_button_asks_both_models_in_their_own_form(made, client, trained):
    made.button.click()
    base, tuned = made.panes
    model = trained.fine_tuned_model
    assert tuned.text == lesson.ask(client, "What is sun?", model, max_tokens=12) != ""
    assert base.text == lesson.ask(client, "What is sun?", "ada", max_tokens=12) != ""
    assert not base.trouble and not tuned.trouble
    assert tuned.text in unescape(tuned.widget.value) and model in tuned.widget.value


def test_the_button_asks_with_what_the_widgets_say(made, requests):
    made.question.value, made.temperature.value, made.length.value = "  And now? ", 1.5, 33
    made.button.click()
    for request in requests:
        assert (request["question"], request["temperature"], request["max_tokens"]) == ("And now?", 1.5, 33)


def test_enter_asks_too_and_leaving_the_field_does_not(made, requests):
    made.question.value = "And now?"
    assert not requests
    made.question._handle_custom_msg({"event": "submit"}, [])
    assert len(requests) == 2


def test_nothing_is_asked_without_a_question_or_while_it_answers(made, requests):
    made.question.value = " "
    made.button.click()
    made.question.value, made.button.disabled = "And now?", True
    made.button.click()
    assert not requests


def test_the_answers_come_token_by_token_in_turn(made, requests, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0)
    order, disabled = [], []
    for which in made.panes:
        which.widget.observe(lambda change, which=which: order.append(which.title), "value")
        which.widget.observe(lambda change: disabled.append(made.button.disabled), "value")
    seen = values(made.panes[0].widget)
    made.ask()
    assert len(seen) == 5, "empty, three tokens, and the end"
    assert ["two" in value for value in seen] == [False, False, True, True, True]
    assert order[:2] == ["Base model"] * 2 and order[2:4] == ["Trained model"] * 2
    assert order[4:8] == ["Base model", "Trained model"] * 2, "a token of each in turn"
    assert all(disabled) and not made.button.disabled, "no second question while it answers"
    assert "<two>" not in seen[-1] and "&lt;two&gt;" in seen[-1]


def test_a_pane_is_not_drawn_for_each_token_of_a_fast_model(made, requests, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 60)
    seen = values(made.panes[0].widget)
    made.ask()
    assert len(seen) == 3, "empty, the first token, and the end"


def test_probabilities_are_shown_and_hidden_without_asking_again(made, requests):
    made.ask()
    assert "rgba(" not in made.panes[1].widget.value
    made.sure.value = True
    assert "rgba(" in made.panes[1].widget.value and "30.0% sure" in made.panes[1].widget.value
    assert "90% and more" in made.box.children[-1].value, "what the colours mean"
    made.sure.value = False
    assert "rgba(" not in made.panes[1].widget.value and not made.box.children[-1].value
    assert len(requests) == 2


def test_another_host_is_asked_for_probabilities_only_on_demand(requests):
    made = Playground(openai.OpenAI(base_url="https://elsewhere.example/v1", api_key="abc"), "m", "?")
    made.ask()
    assert [request["probabilities"] for request in requests] == [False, False]


def test_probabilities_of_the_service(made):
    made.sure.value = True
    made.ask()
    for which in made.panes:
        assert not which.trouble and "rgba(" in which.widget.value and "% sure" in which.widget.value


def test_an_error_is_a_sentence_in_its_own_pane(client):
    made = Playground(client, "ft:nobody", "What is sun?")
    made.button.click()
    base, tuned = made.panes
    assert base.text and not base.trouble
    assert "ft:nobody" in tuned.trouble and "404" in tuned.trouble
    assert tuned.trouble in unescape(tuned.widget.value) and "Traceback" not in tuned.widget.value
    assert not made.button.disabled


def test_an_answer_without_words_is_no_empty_pane(made, monkeypatch):
    monkeypatch.setattr(module, "stream", lambda *_, **__: iter([]))
    made.ask()
    assert "before the first word" in made.panes[0].widget.value


def test_no_error_shows_a_key(made, client, monkeypatch):
    def stream(*_, **__):
        yield Token("so far")
        raise openai.OpenAIError(f"the key {client.api_key} <is> bad")

    monkeypatch.setattr(module, "stream", stream)
    made.ask()
    everything = json.dumps([made.panes[0].widget.value, made.twin()._repr_html_()])
    assert client.api_key not in everything and "(your key)" in everything
    assert "so far" in everything and "&lt;is&gt;" in made.panes[0].widget.value


def test_a_service_that_is_gone():
    key = "-".join(["sk", "local", "x" * 20])
    client = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key=key, max_retries=0)
    made = Playground(client, "m", "?")
    made.ask()
    assert "connect()" in made.panes[0].trouble and not made.button.disabled


def test_what_should_not_happen_is_a_sentence_too(made, monkeypatch):
    monkeypatch.setattr(module, "stream", lambda *_, **__: json.loads("<html>"))
    made.ask()
    assert made.panes[0].text == "The answer broke off (JSONDecodeError). Ask again."


def test_one_output_holds_the_widgets_and_their_twin(made, requests):
    made.sure.value = True
    made.ask()
    bundle = made.bundle()
    assert set(bundle) == {VIEW, "text/html", "text/plain"}
    assert bundle[VIEW]["model_id"] == made.box.model_id
    for said in ("What is sun?", "one", "three", "Base model", "Trained model"):
        assert said in bundle["text/html"] and said in " ".join(bundle["text/plain"].split())
    assert bundle["text/html"].count("three") == 2 and "<two>" not in bundle["text/html"]


def test_a_notebook_gets_one_output_and_a_terminal_the_text(client, trained, requests, monkeypatch, capsys):
    shown = []
    assert playground(client, trained.fine_tuned_model, question="Who?") is None
    assert capsys.readouterr().out.count("one <two> three") == 2
    monkeypatch.setattr(module, "in_notebook", lambda: True)
    display = SimpleNamespace(display=lambda bundle, raw: shown.append(bundle))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    assert playground(client, trained.fine_tuned_model, question="Who?") is None
    assert len(shown) == 1 and VIEW in shown[0] and not capsys.readouterr().out


def test_every_control_has_a_label(made):
    controls = (made.question, made.temperature, made.length, made.sure, made.button)
    assert all(control.description for control in controls)
    made.panes[0].draw(False)
    assert 'aria-label="Base model"' in made.panes[0].widget.value
