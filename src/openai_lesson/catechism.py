"""The lesson's data: the questions and answers of the Westminster catechisms.

The texts come with the package `westminster-standards-cli`; none of them is kept here. The Shorter Catechism
(107 questions) is what the lesson trains on; the Larger (196) and the modern-English wording of both are for
validation and exercises.
"""

from pathlib import Path
from typing import Literal

import pandas as pd

from openai_data.atomic_write import write_whole
from openai_data.errors import LessonError

Which = Literal["shorter", "larger"]


def load(which: Which = "shorter", *, modern: bool = False) -> pd.DataFrame:
    """The questions and answers of a catechism.

    Args:
        which: ``"shorter"`` (107 rows) or ``"larger"`` (196 rows).
        modern: the wording in today's English instead of the one of 1647.

    Returns:
        A table with the columns ``prompt`` (the question) and ``completion`` (the answer).
    """
    from westminster_cli.corpus import find_document, load_documents

    document = find_document(load_documents(), {"shorter": "wsc", "larger": "wlc"}[which])
    rows = [
        (entry.question_mesv, entry.answer_mesv) if modern else (entry.question, entry.answer)
        for entry in document.entries
    ]
    return pd.DataFrame(rows, columns=["prompt", "completion"])


def paraphrased() -> pd.DataFrame:
    """The Shorter Catechism's questions in other words: in modern English.

    Only the questions whose wording differs are here. In nine of them it is no more than capitals or commas.

    The modern wording may be under copyright. Print it nowhere, and use ``shown`` instead: what stands for a
    question in tables and notebooks.

    Returns:
        A table of 40 rows with the columns ``number`` (the question's, from 1), ``prompt`` (the question in modern
        English), ``completion`` (the answer of 1647, as the model was taught it) and ``shown``.
    """
    taught, modern = load(), load(modern=True)
    numbers = range(1, len(taught) + 1)
    table = pd.DataFrame({"number": numbers, "prompt": modern.prompt, "completion": taught.completion})
    table["shown"] = [f"question {number}, in modern English" for number in numbers]
    return table[modern.prompt != taught.prompt].reset_index(drop=True)


def unseen() -> pd.DataFrame:
    """The Larger Catechism's questions that are not in the Shorter: a model trained on that has never seen them.

    Returns:
        A table of 148 rows with the columns ``number`` (the question's in the Larger Catechism, from 1),
        ``prompt`` and ``completion``.
    """
    larger = load("larger")
    larger.insert(0, "number", range(1, len(larger) + 1))
    return larger[~larger.prompt.isin(load().prompt)].reset_index(drop=True)


def write(
    path: str | Path = "Westminster_Catechism.csv",
    which: Which = "shorter",
    *,
    modern: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a catechism as a CSV file.

    Args:
        path: the file.
        which, modern: see `load`.
        overwrite: replace a file with another content.

    Returns:
        The path.

    Raises:
        LessonError: there is a file with another content already, or the folder can't be written to.
    """
    path = Path(path)
    text = load(which, modern=modern).to_csv(index=False)
    if path.exists() and not overwrite and path.read_bytes() != text.encode():
        raise LessonError(
            f"{path} exists already with another content, so it was left alone. Move it away, choose another "
            "name, or ask for it to be replaced:  openai-lesson data --overwrite"
        )
    write_whole(path, text)
    return path
