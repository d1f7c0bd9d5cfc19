"""Training data as tokens, with a mask that says which of them count; and how a person can look at both.

Only what the model should say counts towards the loss: the completion and the token that ends it, or the
assistant's messages whose ``weight`` is not 0.

For people, each token has its piece of text; the pieces, joined, give the text back. The base model's tokens are
made of bytes, and a character may need some of them. Then the token that completes it has its piece, and those
before it have an empty one. A token with a name, such as ``<|im_end|>``, has its name as its piece.

Left out, here as in training: the few control characters that the base model has no token for.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from openai_local.errors import LocalError, visible_line
from openai_local.models.chat_templates import TEMPLATES
from openai_local.training.dataset import DataError, checked, is_learned
from openai_local.training.job_folder import EXAMPLE_TOKENS

_CHARACTERS = 16  # for each token that is wanted, this much of a text is tokenised at first


@dataclass(frozen=True)
class Example:
    """One example as tokens. ``counts[i]`` says whether predicting ``tokens[i]`` counts towards the loss."""

    tokens: list[int]
    counts: list[bool]

    @property
    def n_targets(self) -> int:
        """How many tokens count. The first never does: nothing stands before it."""
        return sum(self.counts[1:])

    @property
    def answer(self) -> tuple[int, ...]:
        """The tokens that count."""
        return tuple(token for token, counts in zip(self.tokens, self.counts, strict=True) if counts)

    def weight(self, prompt_weight: float) -> float:
        """The sum of its tokens' weights in the loss: 1 where a token counts, else `prompt_weight`."""
        return self.n_targets + prompt_weight * (len(self.tokens) - 1 - self.n_targets)


class Encoder:
    """Turns records into `Example`, with the base model's tokenizer and chat template."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the base model's Hugging Face folder (`Base.weights`)."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.end: int = config["eos_token_id"]
        self.start: list[int] = [config["bos_token_id"]] if config.get("add_bos_token") else []
        source = (folder / "chat_template.jinja").read_text(encoding="utf-8")
        try:
            self.template = TEMPLATES.from_string(source) if source else None
        except Exception as error:  # Python has its own words for what is nested too deep
            raise LocalError(f"The base model's chat template can't be read ({str(error)[:100]}).") from None

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text, without any added at its ends."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def encode(self, record: dict[str, Any], limit: int) -> Example:
        """Tokenise one record, cut after `limit` tokens."""
        pieces = self._chat(record["messages"], limit) if "messages" in record else self._pair(record, limit)
        tokens, counts = list(self.start), [False] * len(self.start)
        for piece, counted in pieces:
            tokens += piece
            counts += [counted] * len(piece)
            if len(tokens) >= limit:
                break
        return Example(tokens[:limit], counts[:limit])

    def _first(self, text: str, limit: int) -> list[int]:
        """The tokens of a text, at least the first `limit`: what training cuts off is not looked at."""
        size = _CHARACTERS * limit
        while True:
            tokens = self.tokens(text[:size])
            if size >= len(text) or len(tokens) >= 2 * limit:  # what is cut within a word changes its tokens only
                return tokens
            size *= 4

    def _pair(self, record: dict[str, Any], limit: int) -> Iterator[tuple[list[int], bool]]:
        # Apart, because a question is tokenised alone when it is asked later.
        yield self._first(record["prompt"], limit), False
        yield [*self._first(record["completion"], limit), self.end], True

    def _chat(self, messages: list[dict[str, Any]], limit: int) -> Iterator[tuple[list[int], bool]]:
        if self.template is None:
            raise DataError("This base model has no chat template; use prompt and completion.")
        done = ""
        for position, message in enumerate(messages):
            if not is_learned(message):
                continue
            before = self._render(messages[:position], answer_next=True)
            after = self._render(messages[: position + 1], answer_next=False)
            if not before.startswith(done) or not after.startswith(before):
                # Qwen3's template takes thoughts out of all answers but the last.
                raise DataError(
                    "This base model's chat template changes earlier answers when a later one follows, so a "
                    "conversation can teach one answer only. Give the assistant's other messages the weight 0.",
                )
            yield self._first(before[len(done) :], limit), False
            said = self._first(after[len(before) :], limit)
            ends = said.index(self.end) + 1 if self.end in said else len(said)
            yield said[:ends], True
            yield said[ends:], False
            done = after

    def _render(self, messages: list[dict[str, Any]], *, answer_next: bool) -> str:
        assert self.template is not None
        names = {"developer": "system"}
        plain = [{"role": names.get(m["role"], m["role"]), "content": m["content"]} for m in messages]
        try:
            return self.template.render(messages=plain, add_generation_prompt=answer_next)
        except Exception as error:  # a template can do whatever Python can't
            raise DataError(f"The chat template refuses these messages: {str(error)[:200]}.") from None


@dataclass(frozen=True)
class Piece:
    """A token, its piece of text, and whether predicting it counts towards the loss.

    The piece is empty if the token ends within a character; the token that completes it has it all.
    """

    token: int
    text: str
    counts: bool


def of_text(encoder: Encoder, text: str) -> list[Piece]:
    """A text as pieces, none of which counts. Raises `LocalError` if the text holds half a character."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise LocalError("The text holds half a character (a lone surrogate). Write it anew.")
    tokens = encoder.tokens(text)
    return [*map(Piece, tokens, _texts(encoder.tokenizer, tokens), [False] * len(tokens))]


def of_line(encoder: Encoder, path: Path, line: int) -> list[Piece]:
    """The example in a line of a training file as pieces, cut where training cuts it.

    Lines are counted from 1, and empty ones count too, as in an editor. The whole file is checked, as before
    training; but it may have fewer examples than that needs. Raises `LocalError` if it can't be read or trained
    on, or has no such line.
    """
    example = encoder.encode(_record(path, line), EXAMPLE_TOKENS)
    # Nothing stands before the first token, so there is nothing to predict it from (`Example.n_targets`).
    counts = [position > 0 and counted for position, counted in enumerate(example.counts)]
    return [*map(Piece, example.tokens, _texts(encoder.tokenizer, example.tokens), counts)]


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
        records = dict(checked(path, "validation_file"))
    except FileNotFoundError:
        raise LocalError(f"There is no file {path} in {Path.cwd()}.") from None
    except OSError as error:
        raise LocalError(f"{path} can't be read: {error.strerror}.") from None
    except DataError as error:
        if error.code == "invalid_n_examples":
            raise LocalError(f"{path} holds no example.") from None
        raise
    if line not in records:
        first, last = min(records), max(records)
        where = f"{first} to {last}" + (", some of them empty" if last - first >= len(records) else "")
        raise LocalError(f"{path} has no example in line {line}. Its examples are in the lines {where}.")
    return records[line]


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
