"""Log-probabilities: llama.cpp's entries, and OpenAI's two forms of them.

llama.cpp gives one entry for each piece of text that it sends. Two things are put right here. While the text may
be the beginning of a stop sequence, llama.cpp holds it back: the entries are empty, and the next one has the text
of all. And the end of the answer has an entry, but is no text.

Left as it is: a character that the model wrote in several tokens (an emoji, say) is one entry, with the
log-probability of its last token. llama.cpp tells no more.
"""

import codecs
from dataclasses import dataclass
from typing import Any

MOST = 20  # how many of the likeliest tokens OpenAI gives at most; llama.cpp is always asked for so many
LEAST = -9999.0  # OpenAI's number for "very unlikely": JSON has no infinity


@dataclass(frozen=True)
class Token:
    """A token of an answer or of an echoed prompt; the first one of a prompt has no log-probability."""

    text: bytes
    logprob: float | None
    top: tuple[tuple[bytes, float], ...] = ()


class Reader:
    """Reads the entries of one answer, as they come."""

    def __init__(self) -> None:
        self._held: list[dict[str, Any]] = []

    def read(self, entries: list[dict[str, Any]]) -> list[Token]:
        """The tokens whose text was sent."""
        tokens = []
        for entry in entries:
            text = bytes(entry["bytes"])
            if not text:
                self._held.append(entry)
                continue
            for held in self.rest():
                if text.startswith(held.text) and text != held.text:
                    tokens.append(held)
                    text = text[len(held.text) :]
            tokens.append(read_entry(entry, text))
        return tokens

    def rest(self) -> list[Token]:
        """The tokens that are held back, to be counted as said: those whose own text is known."""
        own = [
            read_entry(entry, bytes(top["bytes"]))
            for entry in self._held
            for top in entry["top_logprobs"]
            if top["id"] == entry["id"] and top["bytes"]
        ]
        self._held.clear()
        return own


def read_entry(entry: dict[str, Any], text: bytes) -> Token:
    """One of llama.cpp's entries as a token with this text."""
    top = tuple((bytes(e["bytes"]), max(e["logprob"], LEAST)) for e in entry["top_logprobs"])
    return Token(text, max(entry["logprob"], LEAST), top)


def legacy(tokens: list[Token], offset: int, most: int) -> dict[str, list[Any]]:
    """The form of completions. `offset` characters come before the tokens; OpenAI counts the prompt's too.

    With each come the `most` likeliest tokens, and always the token itself.
    """
    offsets = []
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a token may be a part of a character
    for token in tokens:
        offsets.append(offset)
        offset += len(decoder.decode(token.text))
    return {
        "tokens": [_name(token.text) for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [_table(token, most) for token in tokens],
        "text_offset": offsets,
    }


def _table(token: Token, most: int) -> dict[str, float] | None:
    if token.logprob is None:
        return None
    table: dict[str, float] = {}
    for text, logprob in token.top[:most]:
        table.setdefault(_name(text), logprob)  # control tokens have no text: the likeliest of them stays
    table.setdefault(_name(token.text), token.logprob)
    return table


def _name(text: bytes) -> str:
    r"""A token as text; one that is none as OpenAI wrote it, ``bytes:\xe2\x80``."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in text)


def content(tokens: list[Token], most: int) -> list[dict[str, Any]]:
    """The form of chat completions and responses."""
    return [
        {**_entry(token.text, token.logprob), "top_logprobs": [_entry(*pair) for pair in token.top[:most]]}
        for token in tokens
    ]


def _entry(text: bytes, logprob: float | None) -> dict[str, Any]:
    return {"token": text.decode(errors="replace"), "logprob": logprob, "bytes": [*text]}
