"""What training sees: a text, or a line of a training file, as tokens with their pieces of text. Needs no torch.

Tokens and mask come from the `Encoder` that training uses, so one can check here which tokens the loss counts.
The pieces, joined, give the text back. The base model's tokens are made of bytes, and a character may need some of
them. Then the token that completes it has its piece, and those before it have an empty one. A token with a name,
such as ``<|im_end|>``, has its name as its piece.

Left out, here as in training: the few control characters that the base model has no token for.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from openai_local.engine.examples import DataError, Encoder, read
from openai_local.engine.hyperparameters import EXAMPLE_TOKENS
from openai_local.errors import LocalError, visible_line


@dataclass(frozen=True)
class Piece:
    """A token, its piece of text, and whether predicting it counts towards the loss.

    The piece is empty if the token ends within a character; the token that completes it has it all.
    """

    token: int
    text: str
    counts: bool


def of_text(encoder: Encoder, text: str) -> list[Piece]:
    """A text as pieces, none of which counts.

    Raises:
        LocalError: the text holds half a character.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise LocalError("The text holds half a character (a lone surrogate). Write it anew.")
    tokens = encoder.tokens(text)
    return _pieces(encoder.tokenizer, tokens, [False] * len(tokens))


def of_line(encoder: Encoder, path: Path, line: int) -> list[Piece]:
    """The example in a line of a training file as pieces, cut where training cuts it.

    Args:
        encoder: the base model's.
        path: the file. The whole of it is checked, as before training; but it may have fewer examples than that
            needs.
        line: which line, counted from 1. Empty lines count too, as in an editor.

    Raises:
        LocalError: the file can't be read or trained on, or has no such line.
    """
    record = _record(path, line)
    example = encoder.encode(record, EXAMPLE_TOKENS)
    # Nothing stands before the first token, so there is nothing to predict it from (`Example.n_targets`).
    counts = [position > 0 and counted for position, counted in enumerate(example.counts)]
    return _pieces(encoder.tokenizer, example.tokens, counts)


def rows(pieces: Sequence[Piece]) -> Iterator[str]:
    """Pieces as lines for people: a table, and how many there are."""
    yield " token  counts  text"
    for piece in pieces:
        shown = f"'{visible_line(piece.text)}'" if piece.text else "… (part of the next piece)"
        yield f"{piece.token:>6}  {'yes' if piece.counts else '':<6}  {shown}"
    counted = sum(piece.counts for piece in pieces)
    yield f"Tokens: {len(pieces):,}. The loss counts {counted:,} of them."
    if len(pieces) == EXAMPLE_TOKENS:
        yield f"Training cuts every example after {EXAMPLE_TOKENS:,} tokens."


def _record(path: Path, line: int) -> dict[str, Any]:
    try:
        # What is checked of a validation file: all but the ten examples that training needs.
        records = read(path, "validation_file")
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except FileNotFoundError:
        raise LocalError(f"There is no file {path} in {Path.cwd()}.") from None
    except OSError as error:
        raise LocalError(f"{path} can't be read: {error.strerror}.") from None
    except DataError as error:
        if error.code == "invalid_n_examples":
            raise LocalError(f"{path} holds no example.") from None
        raise
    numbers = [number for number, text in enumerate(lines, start=1) if text.strip()]
    if line not in numbers:
        raise LocalError(f"{path} has no example in line {line}. Its examples are in the lines {_spans(numbers)}.")
    return records[numbers.index(line)]


def _spans(numbers: list[int]) -> str:
    first, last = numbers[0], numbers[-1]
    return f"{first} to {last}" + (", some of them empty" if last - first >= len(numbers) else "")


def _pieces(tokenizer: Tokenizer, tokens: list[int], counts: list[bool]) -> list[Piece]:
    return [
        Piece(token, text, counted)
        for token, text, counted in zip(tokens, _texts(tokenizer, tokens), counts, strict=True)
    ]


def _texts(tokenizer: Tokenizer, tokens: list[int]) -> list[str]:
    names = {token: added.content for token, added in tokenizer.get_added_tokens_decoder().items()}
    byte_of, decoder = _bytes(), codecs.getincrementaldecoder("utf-8")("replace")
    texts, held = [], ""
    for token in tokens:
        if token in names:
            held += decoder.decode(b"", final=True) + names[token]
        else:
            held += decoder.decode(bytes(byte_of[sign] for sign in tokenizer.id_to_token(token) or ""))
        within_a_character = bool(decoder.getstate()[0])
        texts.append("" if within_a_character else held)
        held = held if within_a_character else ""
    if texts:
        texts[-1] += held + decoder.decode(b"", final=True)  # an example may be cut within a character
    return texts


def _bytes() -> dict[str, int]:
    """The byte for each sign in the tokens' names: its own code where that is printable, else the next one free.

    That is GPT-2's way to write bytes (openai/gpt-2: src/encoder.py, bytes_to_unicode).
    """
    signs = sorted(ByteLevel.alphabet())
    own = {sign: ord(sign) for sign in signs if ord(sign) < 256}
    others = [byte for byte in range(256) if byte not in own.values()]
    return own | dict(zip((sign for sign in signs if ord(sign) >= 256), others, strict=True))
