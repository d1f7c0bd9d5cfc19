import numpy as np
import pytest

from openai_local.engine.base import SMOLLM2
from openai_local.engine.classification import Classes, Question
from openai_local.engine.examples import DataError, Encoder


@pytest.fixture(scope="module")
def encoder(tiny_cache):
    return Encoder(SMOLLM2.weights(tiny_cache))


def examples(encoder, completions, prompt="x"):
    return [encoder.encode({"prompt": prompt, "completion": c}, 100) for c in completions]


def test_the_first_token_that_differs_tells_the_classes(encoder):
    data = examples(encoder, [" yes", " no", " yes"])
    classes = Classes.find(data, Question(positive_class="yes"), encoder)
    letters = [encoder.tokenizer.decode([token]) for token in classes.tokens]
    assert sorted(letters) == ["n", "y"]
    place = classes.position(data[0])
    assert encoder.tokenizer.decode([data[0].tokens[place]]) == "y"
    assert letters[classes.positive] == "y"


@pytest.mark.parametrize(
    ("completions", "asked", "param"),
    [
        ([" a", " b"], Question(n_classes=3), "classification_n_classes"),
        ([" a", " b"], Question(positive_class=" c"), "classification_positive_class"),
        ([" ab", " ac", " b"], Question(n_classes=3), "compute_classification_metrics"),
    ],
)
def test_what_can_not_be_classified_is_refused(encoder, completions, asked, param):
    with pytest.raises(DataError) as error:
        Classes.find(examples(encoder, completions), asked, encoder)
    assert error.value.param == param


def test_an_empty_prompt_is_refused(encoder):
    with pytest.raises(DataError, match="empty prompt"):
        Classes.find(examples(encoder, [" a", " b"], prompt=""), Question(n_classes=2), encoder)


def test_metrics_of_two_classes_by_hand(encoder):
    """Truth + + - - with scores .9 .4 .6 .1: one hit, one missed, one false alarm; 3 of 4 pairs in order."""
    data = examples(encoder, [" y", " y", " n", " n"])
    classes = Classes.find(data, Question(positive_class="y", betas=[2]), encoder)
    scores = np.array([0.9, 0.4, 0.6, 0.1])
    both = np.stack([scores, 1 - scores], axis=1)
    found = classes.metrics(data, both if classes.positive == 0 else both[:, ::-1])
    assert found == pytest.approx(
        {
            "classification/accuracy": 0.5,
            "classification/precision": 0.5,
            "classification/recall": 0.5,
            "classification/auroc": 0.75,
            "classification/auprc": 0.5 * 1 + 0.5 * 2 / 3,
            "classification/f1.0": 0.5,
            "classification/f2.0": 0.5,
        }
    )


def test_metrics_of_three_classes_by_hand(encoder):
    """Two of four right; F1 is 2/3, 2/3 and 0, weighted by 1/2, 1/4, 1/4."""
    data = examples(encoder, [" a", " a", " b", " c"])
    classes = Classes.find(data, Question(n_classes=3), encoder)
    order = [classes.answers.index(example.answer) for example in data]
    said = [order[0], order[2], order[2], order[0]]
    found = classes.metrics(data, np.eye(3)[said])
    assert found == pytest.approx(
        {"classification/accuracy": 0.5, "classification/weighted_f1_score": 0.5 * 0.5 + 0.25 * 2 / 3}
    )
