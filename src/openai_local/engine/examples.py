"""Training data: from the lines of a JSONL file to tokens with a mask that says which of them count.

Two forms, told apart by the first line's keys, as at OpenAI: ``{"prompt": …, "completion": …}`` and
``{"messages": [{"role": …, "content": …}, …]}``. Only what the model should say counts towards the loss: the
completion and the token that ends it, or the assistant's messages whose ``weight`` is not 0.

`read` checks a file without a model and is what the service calls; `encode` turns what it read into tokens.
Left out: tool calls, images, and the preference pairs of other fine-tuning methods.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from openai_local.errors import LocalError

TEMPLATES = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
"""Renders chat templates with the settings of transformers and llama.cpp."""
MINIMUM = 10
ROLES = ("system", "developer", "user", "assistant")
_UNEXPECTED = "Unexpected file format, expected either prompt/completion pairs or chat messages."


class DataError(LocalError):
    """A file that can't be trained on. `code` is OpenAI's, the message names the line, `param` the parameter."""

    def __init__(self, code: str, message: str, param: str = "training_file") -> None:
        super().__init__(message)
        self.code, self.param = code, param


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


def read(path: Path, param: str = "training_file") -> list[dict[str, Any]]:
    """Read and check a file to train on or, with the `param` ``validation_file``, to validate with.

    Returns:
        One record per non-empty line, all of the same form.

    Raises:
        DataError: with OpenAI's code (``invalid_training_file``, ``invalid_n_examples``) and the line.
    """
    try:
        records = _read(path)
    except DataError as error:
        error.param = param
        raise
    least = MINIMUM if param == "training_file" else 1
    if len(records) < least:
        raise DataError(
            "invalid_n_examples",
            f"{param.capitalize().replace('_', ' ')} has {len(records)} example(s), but must have at least "
            f"{least} example{'s' * (least > 1)}.",
            param,
        )
    return records


def _read(path: Path) -> list[dict[str, Any]]:
    records = []
    check: Callable[[dict[str, Any]], str | None] | None = None
    for number, line in _lines(path):
        record = _parse(line, number)
        check = check or _form(record)
        if check is None:
            raise DataError("invalid_training_file", f"{_UNEXPECTED} Line {number} has neither.")
        if problem := check(record):
            raise DataError("invalid_training_file", f"Line {number}: {problem}")
        records.append(record)
    return records


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                message = f"Line {number} is not UTF-8 text (byte {error.start}). Save the file as UTF-8."
                raise DataError("invalid_training_file", message) from None
            if line:
                yield number, line


def _parse(line: str, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        detail = (
            f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "nested too deep"
        )
        message = f"Line {number} is not valid JSON ({detail}). Each line must hold one whole example."
        raise DataError("invalid_training_file", message) from None
    if not isinstance(record, dict):
        raise DataError("invalid_training_file", f"{_UNEXPECTED} Line {number} is no JSON object.")
    if "\\ud" in line.lower() and _has_half_a_character(record):
        message = f"Line {number} holds half a character (such as \\ud83d alone). Write the whole character."
        raise DataError("invalid_training_file", message)
    return record


def _has_half_a_character(record: dict[str, Any]) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _form(record: dict[str, Any]) -> Callable[[dict[str, Any]], str | None] | None:
    if "messages" in record:
        return _check_chat
    return _check_pair if "prompt" in record or "completion" in record else None


def _check_pair(record: dict[str, Any]) -> str | None:
    for key in ("prompt", "completion"):
        if not isinstance(record.get(key), str):
            return f"{key!r} is missing or no text."
    return None if record["completion"].strip() else "'completion' is empty, so there is nothing to learn from it."


def _check_chat(record: dict[str, Any]) -> str | None:
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages:
        return "'messages' is missing or no list."
    for position, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            return f"messages[{position}] needs a role, one of {', '.join(ROLES)}."
        if not isinstance(message.get("content"), str):
            return f"messages[{position}] needs a text as content."
        if message.get("weight", 1) not in (0, 1):
            return f"messages[{position}] has the weight {message['weight']!r}; only 0 and 1 are possible."
    return (
        None if any(_counts(message) for message in messages) else "there is no assistant's message to learn from."
    )


def _counts(message: dict[str, Any]) -> bool:
    return message["role"] == "assistant" and message.get("weight", 1) == 1 and bool(message["content"].strip())


class Encoder:
    """Turns records into `Example`, with the base model's tokenizer and chat template."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the base model's Hugging Face folder (`Base.weights`)."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.end: int = config["eos_token_id"]
        self.start: list[int] = [config["bos_token_id"]] if config.get("add_bos_token") else []
        source = (folder / "chat_template.jinja").read_text(encoding="utf-8")
        self.template = TEMPLATES.from_string(source) if source else None

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text, without any added at its ends."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def encode(self, record: dict[str, Any], limit: int) -> Example:
        """Tokenise one record, cut after `limit` tokens."""
        pieces = self._chat(record["messages"]) if "messages" in record else self._pair(record)
        tokens, counts = list(self.start), [False] * len(self.start)
        for piece, counted in pieces:
            tokens += piece
            counts += [counted] * len(piece)
        return Example(tokens[:limit], counts[:limit])

    def _pair(self, record: dict[str, Any]) -> Iterator[tuple[list[int], bool]]:
        # Apart, because a question is tokenised alone when it is asked later.
        yield self.tokens(record["prompt"]), False
        yield [*self.tokens(record["completion"]), self.end], True

    def _chat(self, messages: list[dict[str, Any]]) -> Iterator[tuple[list[int], bool]]:
        if self.template is None:
            raise DataError(
                "invalid_training_file", "This base model has no chat template; use prompt and completion."
            )
        done = ""
        for position, message in enumerate(messages):
            if not _counts(message):
                continue
            before = self._render(messages[:position], answer_next=True)
            after = self._render(messages[: position + 1], answer_next=False)
            if not before.startswith(done) or not after.startswith(before):
                # Qwen3's template takes thoughts out of all answers but the last.
                raise DataError(
                    "invalid_training_file",
                    "This base model's chat template changes earlier answers when a later one follows, so a "
                    "conversation can teach one answer only. Give the assistant's other messages the weight 0.",
                )
            yield self.tokens(before[len(done) :]), False
            said = self.tokens(after[len(before) :])
            ends = said.index(self.end) + 1 if self.end in said else len(said)
            yield said[:ends], True
            yield said[ends:], False
            done = after

    def _render(self, messages: list[dict[str, Any]], *, answer_next: bool) -> str:
        assert self.template is not None
        plain = [{"role": _role(message), "content": message["content"]} for message in messages]
        try:
            return self.template.render(messages=plain, add_generation_prompt=answer_next)
        except jinja2.TemplateError as error:
            raise DataError(
                "invalid_training_file", f"The chat template refuses these messages: {error}."
            ) from None


def _role(message: dict[str, Any]) -> str:
    return "system" if message["role"] == "developer" else message["role"]
