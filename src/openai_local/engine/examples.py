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
from functools import partial
from pathlib import Path
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from openai_local.errors import LocalError

TEMPLATES = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
"""Renders chat templates with the settings of transformers and llama.cpp."""
MINIMUM = 10
MOST_LINE = 1_000_000
"""Bytes of a line, at most: hundreds of times as much as is trained of an example. A file is checked inside the
service, where a line without end would hold everybody up, and fill the memory."""
_CHARACTERS = 16  # for each token that is wanted, this much of a text is tokenised at first
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
        One record per non-empty line, all of the same form, with what counts of it: prompt and completion, or the
        messages' roles, contents and weights.

    Raises:
        DataError: with OpenAI's code (``invalid_training_file``, ``invalid_n_examples``) and the line.
    """
    return list(_checked(path, param))


def count(path: Path, param: str = "training_file") -> int:
    """Check a file as `read` does, and count its examples. No more of it is in memory than a line.

    Raises:
        DataError: as for `read`.
    """
    return sum(1 for _ in _checked(path, param))


def _checked(path: Path, param: str) -> Iterator[dict[str, Any]]:
    found = 0
    try:
        for record in _records(path):
            found += 1
            yield record
    except DataError as error:
        error.param = param
        raise
    least = MINIMUM if param == "training_file" else 1
    if found < least:
        raise DataError(
            "invalid_n_examples",
            f"{param.capitalize().replace('_', ' ')} has {found} example(s), but must have at least "
            f"{least} example{'s' * (least > 1)}.",
            param,
        )


def _records(path: Path) -> Iterator[dict[str, Any]]:
    form: _Form | None = None
    for number, line in _lines(path):
        record = _parse(line, number)
        form = form or _form(record)
        if form is None:
            raise DataError("invalid_training_file", f"{_UNEXPECTED} Line {number} has neither.")
        if problem := form.problem(record):
            raise DataError("invalid_training_file", f"Line {number}: {problem}")
        kept = form.kept(record)
        if "\\ud" in line.lower() and _has_half_a_character(kept):
            message = f"Line {number} holds half a character (such as \\ud83d alone). Write the whole character."
            raise DataError("invalid_training_file", message)
        yield kept


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        for number, raw in enumerate(iter(partial(file.readline, MOST_LINE + 1), b""), start=1):
            if len(raw) > MOST_LINE:
                message = f"Line {number} has more than {MOST_LINE:,} bytes. Make it shorter, or several of it."
                raise DataError("invalid_training_file", message)
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
    except (ValueError, RecursionError) as error:
        message = f"Line {number} is not valid JSON ({_why(error)}). Each line must hold one whole example."
        raise DataError("invalid_training_file", message) from None
    if not isinstance(record, dict):
        raise DataError("invalid_training_file", f"{_UNEXPECTED} Line {number} is no JSON object.")
    return record


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, column {error.colno}"
    return "nested too deep" if isinstance(error, RecursionError) else "a number with thousands of digits"


def _has_half_a_character(record: dict[str, Any]) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


@dataclass(frozen=True)
class _Form:
    """One of the two forms: what is wrong with a record of it, if anything, and what of the record counts."""

    problem: Callable[[dict[str, Any]], str | None]
    kept: Callable[[dict[str, Any]], dict[str, Any]]


def _form(record: dict[str, Any]) -> _Form | None:
    if "messages" in record:
        return _Form(_check_chat, _kept_of_chat)
    if "prompt" in record or "completion" in record:
        return _Form(_check_pair, lambda record: {key: record[key] for key in ("prompt", "completion")})
    return None


def _kept_of_chat(record: dict[str, Any]) -> dict[str, Any]:
    keys = ("role", "content", "weight")
    return {"messages": [{key: message[key] for key in keys if key in message} for message in record["messages"]]}


def _check_pair(record: dict[str, Any]) -> str | None:
    for key in ("prompt", "completion"):
        if not isinstance(record.get(key), str):
            return f"{key!r} is missing or no text."
    return None if record["completion"] else "'completion' is empty, so there is nothing to learn from it."


def _check_chat(record: dict[str, Any]) -> str | None:
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages:
        return "'messages' is missing or no list."
    for position, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            return f"messages[{position}] needs a role, one of {', '.join(ROLES)}."
        if not isinstance(message.get("content"), str):
            return f"messages[{position}] needs a text as content."
        weight = message.get("weight", 1)
        if weight not in (0, 1):
            shown = repr(weight)[:40] if isinstance(weight, (int, float, str)) else "no number"
            return f"messages[{position}] has the weight {shown}; only 0 and 1 are possible."
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
            yield self._first(before[len(done) :], limit), False
            said = self._first(after[len(before) :], limit)
            ends = said.index(self.end) + 1 if self.end in said else len(said)
            yield said[:ends], True
            yield said[ends:], False
            done = after

    def _render(self, messages: list[dict[str, Any]], *, answer_next: bool) -> str:
        assert self.template is not None
        plain = [{"role": _role(message), "content": message["content"]} for message in messages]
        try:
            return self.template.render(messages=plain, add_generation_prompt=answer_next)
        except Exception as error:  # a template can do whatever Python can't
            raise DataError(
                "invalid_training_file", f"The chat template refuses these messages: {str(error)[:200]}."
            ) from None


def _role(message: dict[str, Any]) -> str:
    return "system" if message["role"] == "developer" else message["role"]
