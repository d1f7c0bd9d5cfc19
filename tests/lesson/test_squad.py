import pytest

from openai_lesson.squad import exact_match, f1, normalise


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The cat, an owl; a dog!", "cat owl dog"),
        ("  two\n\twords  ", "two words"),
        ("Man's chief end", "mans chief end"),
        ("anthem theatre banana", "anthem theatre banana"),  # articles go as words, not as letters
        ("A. B.", "b"),  # an article shows when its full stop is gone
        ("well-known", "wellknown"),  # what a hyphen joined stays joined
        ("the", ""),
        ("“Höhe”", "“höhe”"),  # as in SQuAD, only ASCII's punctuation goes
    ],
)
def test_normalise(text, normal):
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("expected", "answer", "match"),
    [
        ("Sin is any want of conformity.", "sin is ANY want of the conformity", True),
        ("There is but one only.", "There is but only one.", False),
        ("three", "3", False),
        ("", "the", True),
        ("", "word", False),
    ],
)
def test_exact_match(expected, answer, match):
    assert exact_match(expected, answer) is match


@pytest.mark.parametrize(
    ("expected", "answer", "share"),
    [
        ("one two three", "one two three", 1.0),
        ("one two three", "three, one, two!", 1.0),  # order does not count
        ("one two three", "four five", 0.0),
        # 2 in common, 4 given, 3 wanted: P = 1/2, R = 2/3, F1 = 2 * (1/3) / (7/6) = 4/7
        ("one two three", "one two four five", 4 / 7),
        # Twice in the answer, once expected: 1 in common, P = 1/3, R = 1/2, F1 = 2 * (1/6) / (5/6) = 2/5
        ("one two", "one one one", 2 / 5),
        # Twice in both: 2 in common, P = 2/3, R = 1, F1 = 4/5
        ("one one", "one one two", 4 / 5),
        ("the cat", "a cat", 1.0),
        ("", "", 1.0),
        ("", "word", 0.0),
        ("word", "", 0.0),
        ("word", "the", 0.0),  # nothing is left of an article
    ],
)
def test_f1(expected, answer, share):
    assert f1(expected, answer) == pytest.approx(share)
