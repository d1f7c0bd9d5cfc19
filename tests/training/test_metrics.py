import numpy as np
import pytest

from openai_local.models.base_models import SMOLLM2
from openai_local.training.dataset import DataError
from openai_local.training.metrics import Classes, Score, write_table
from openai_local.training.tokenisation import Encoder


@pytest.fixture(scope="module")
def encoder(tiny_cache):
    return Encoder(SMOLLM2.at(tiny_cache).weights)


def examples(encoder, completions, prompt="x"):
    return [encoder.encode({"prompt": prompt, "completion": c}, 100) for c in completions]


def test_the_first_token_that_differs_tells_the_classes(encoder):
    data = examples(encoder, [" yes", " no", " yes"])
    classes = Classes.find(data, encoder, positive_class="yes")
    letters = [encoder.tokenizer.decode([token]) for token in classes.tokens]
    assert sorted(letters) == ["n", "y"]
    place = classes.position(data[0])
    assert encoder.tokenizer.decode([data[0].tokens[place]]) == "y"
    assert letters[classes.positive] == "y"


@pytest.mark.parametrize(
    ("completions", "asked", "param"),
    [
        ([" a", " b"], {"n_classes": 3}, "classification_n_classes"),
        ([" a", " b"], {"positive_class": " c"}, "classification_positive_class"),
        ([" ab", " ac", " b"], {"n_classes": 3}, "compute_classification_metrics"),
    ],
)
def test_what_can_not_be_classified_is_refused(encoder, completions, asked, param):
    with pytest.raises(DataError) as error:
        Classes.find(examples(encoder, completions), encoder, **asked)
    assert error.value.param == param


def test_an_empty_prompt_is_refused(encoder):
    with pytest.raises(DataError, match="empty prompt"):
        Classes.find(examples(encoder, [" a", " b"], prompt=""), encoder, n_classes=2)


def test_metrics_of_two_classes_by_hand(encoder):
    """Truth + + - - with scores .9 .4 .6 .1: one hit, one missed, one false alarm; 3 of 4 pairs in order."""
    data = examples(encoder, [" y", " y", " n", " n"])
    classes = Classes.find(data, encoder, positive_class="y", betas=[2])
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
    classes = Classes.find(data, encoder, n_classes=3)
    order = [classes.answers.index(example.answer) for example in data]
    said = [order[0], order[2], order[2], order[0]]
    found = classes.metrics(data, np.eye(3)[said])
    assert found == pytest.approx(
        {"classification/accuracy": 0.5, "classification/weighted_f1_score": 0.5 * 0.5 + 0.25 * 2 / 3}
    )


ROWS = [
    {"step": 1, "train_loss": 0.5, "train_accuracy": 0.25, "train_sequence_accuracy": 0.0, "elapsed_tokens": 7},
    {"step": 2, "train_loss": 0.25, "train_accuracy": 1.0, "train_sequence_accuracy": 1.0, "elapsed_tokens": 14},
    {"step": 2, "classification/accuracy": 0.75},
]


def test_the_columns_of_today(tmp_path):
    write_table(tmp_path / "a.csv", ROWS, of_2022=False)
    assert (tmp_path / "a.csv").read_text() == (
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,0.50000,0.25000,,\n2,0.25000,1.00000,,\n"
    )


def test_the_columns_of_2022(tmp_path):
    write_table(tmp_path / "a.csv", ROWS, of_2022=True)
    assert (tmp_path / "a.csv").read_text().splitlines() == [
        "step,elapsed_tokens,training_loss,training_sequence_accuracy,training_token_accuracy,classification/accuracy",
        "1,7,0.50000,0.00000,0.25000,",
        "2,14,0.25000,1.00000,1.00000,0.75000",
    ]


def test_a_step_that_was_done_again_has_one_row(tmp_path):
    write_table(tmp_path / "a.csv", ROWS + ROWS, of_2022=False)
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3


def test_scores_add_up():
    score = Score(2.0, 4.0, 1, 4, 0, 1) + Score(2.0, 4.0, 3, 4, 1, 1)
    assert (score.mean_loss, score.accuracy, score.sequence_accuracy) == (0.5, 0.5, 0.5)


def test_nothing_is_no_division_by_zero():
    assert (Score().mean_loss, Score().accuracy, Score().sequence_accuracy) == (0, 0, 0)
