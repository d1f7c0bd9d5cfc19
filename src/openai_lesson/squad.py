"""How right is an answer? The two measures of SQuAD, a well-known test of question answering.

The definitions are those of its official script, ``evaluate-v1.1.py`` (Rajpurkar and others, 2016, "SQuAD:
100,000+ Questions for Machine Comprehension of Text", https://arxiv.org/abs/1606.05250). What an empty answer
counts comes from the script of version 2.0 (2018, https://arxiv.org/abs/1806.03822).

SQuAD has several right answers to a question and takes the best. Here each question has one. F1 is from 0 to 1,
where SQuAD prints per cent.
"""

import re
import string
from collections import Counter

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def normalise(text: str) -> str:
    """What is left of a text when looks don't count.

    That is the text in small letters, without punctuation (that of ASCII, as in SQuAD), without the articles "a",
    "an" and "the", and with one space between words.
    """
    # The order matters: "a." is an article only when its full stop is gone.
    bare = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(expected: str, answer: str) -> bool:
    """Whether a model's answer and the expected one are the same after `normalise`."""
    return normalise(expected) == normalise(answer)


def f1(expected: str, answer: str) -> float:
    """How many words the answer and the expected one have in common.

    Precision is the share of the answer's words that are expected. Recall is the share of the expected words that
    the answer has. F1 is their harmonic mean: high only if both are. The order of the words does not count. A word
    counts as often as both have it.

    Args:
        expected: the right answer.
        answer: the model's.

    Returns:
        From 0 (no word in common) to 1 (the same words). Two empty texts make 1, an empty and another one 0.
    """
    wanted, given = normalise(expected).split(), normalise(answer).split()
    if not wanted or not given:
        return float(wanted == given)
    common = sum((Counter(wanted) & Counter(given)).values())
    # The same as 2PR / (P + R), with P = common / given and R = common / wanted.
    return 2 * common / (len(wanted) + len(given))
