import openai
import pytest

import openai_lesson as lesson
from openai_lesson.asking import in_conversation


def test_a_trained_model_goes_on_with_a_text_and_a_base_model_answers_in_a_conversation(client, trained):
    model, question = trained.fine_tuned_model, "What is sun?"
    said = client.completions.create(model=model, prompt=question, max_tokens=9, temperature=0)
    assert lesson.ask(client, question, model, max_tokens=9) == said.choices[0].text.strip()
    messages = [{"role": "user", "content": question}]
    for name in ("ada", model):
        said = client.chat.completions.create(model=name, messages=messages, max_tokens=9, temperature=0)
        asked = lesson.ask(client, question, name, max_tokens=9, chat=None if name == "ada" else True)
        assert asked == said.choices[0].message.content.strip()


@pytest.mark.parametrize(
    ("url", "model", "chat"),
    [
        ("http://127.0.0.1:9/v1", "ft:smollm2:lesson::1", False),
        ("http://127.0.0.1:9/v1", "ada:ft-personal-2026-11-22-23-31-54", False),
        ("http://127.0.0.1:9/v1", "ada", True),
        ("http://127.0.0.1:11434/v1", "my-model", False),
        ("https://api.openai.com/v1", "ft:gpt-4.1-nano:me::1", True),
    ],
)
def test_which_models_are_asked_in_a_conversation(url, model, chat):
    client = openai.OpenAI(base_url=url, api_key="nobody's")
    assert in_conversation(client, model) is chat


def test_comparison(client, trained):
    comparison = lesson.compare(client, ["What is sun?", "What is moon?"], trained.fine_tuned_model)
    assert list(comparison.table.columns) == ["question", "base model", "trained model"]
    assert len(comparison.table) == 2
    assert "What is sun?" in repr(comparison) and "<table" in comparison._repr_html_()
