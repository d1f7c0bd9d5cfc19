"""Writing examples as JSONL, one per line, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from openai_data.errors import LessonError

Block = tuple[Sequence[str], Sequence[str]]
"""Some prompts, and as many completions."""
_MOST_VALID = 1000
_quoted = json.encoder.encode_basestring  # quotes and escapes, and leaves é as it is


def completion_lines(block: Block) -> str:
    r"""Examples of 2022: ``{"prompt":"…","completion":"…"}``, a line each.

    A slash is written ``\/``, as the tool of 2022 wrote it, so that the files agree byte for byte. It means the
    same.
    """
    pairs = zip(*map(_quote, block), strict=True)
    lines = "".join([f'{{"prompt":"{prompt}","completion":"{completion}"}}\n' for prompt, completion in pairs])
    return lines.replace("/", "\\/")


def chat_lines(block: Block, system: str | None = None) -> str:
    """Examples of today: a question and its answer as a conversation, opened by the system's message if given."""
    opening = f'{{"role":"system","content":{_quoted(system)}}},' if system else ""
    question, answer = '{"role":"user","content":"', '{"role":"assistant","content":"'
    pairs = zip(*(_quote([text.strip() for text in texts]) for texts in block), strict=True)
    return "".join([f'{{"messages":[{opening}{question}{p}"}},{answer}{c}"}}]}}\n' for p, c in pairs])


def _quote(texts: Sequence[str]) -> list[str]:
    """Texts as they stand between quotation marks in JSON; all at once, which is three times as quick."""
    quoted = _quoted("\x00".join(texts))[1:-1].split("\\u0000")
    if len(quoted) == len(texts):
        return quoted
    return [_quoted(text)[1:-1] for text in texts]  # some text speaks of \u0000 itself


def write_blocks(path: Path, blocks: Iterable[str]) -> None:
    """Write text under a temporary name, then rename.

    Raises:
        LessonError: the folder can't be written to, or the disk is full. An older file is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.writelines(blocks)
        temporary.replace(path)
    except OSError as error:
        raise LessonError(
            f"{path} can't be written: {error.strerror}. Name a file in another folder:  --to FOLDER/NAME.jsonl"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def free_names(source: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Names beside the source that no file has: ``x_prepared.jsonl``, then ``x_prepared (1).jsonl`` and so on."""
    number = 0
    while True:
        mark = f" ({number})" if number else ""
        names = [source.with_name(f"{source.stem}_prepared{suffix}{mark}.jsonl") for suffix in suffixes]
        if not any(name.exists() for name in names):
            return names
        number += 1


def split(count: int, share: float | None, seed: int) -> tuple[list[int], list[int]]:
    """Choose at random which examples to train on, and which to keep for validation.

    Args:
        count: how many examples there are.
        share: the part for validation, between 0 and 1; nothing for a fifth, at most 1,000, as in 2022.
        seed: the same seed chooses the same examples.

    Returns:
        The positions for training, in random order, and those for validation, in the file's order. They are those
        that pandas' ``sample`` gives, which the tool of 2022 used.
    """
    import pandas as pd

    n_train = max(count - _MOST_VALID, int(count * 0.8)) if share is None else count - round(count * share)
    training = pd.Series(range(count)).sample(n=n_train, random_state=seed).tolist()
    chosen = set(training)
    return training, [position for position in range(count) if position not in chosen]
