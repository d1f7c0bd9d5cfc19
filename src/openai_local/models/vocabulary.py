"""The tokenizer of a model, in GGUF's form and in that of a Hugging Face folder, and the way between them.

Both are byte-level BPE. What differs from model to model is how a text is cut before its bytes are merged. GGUF
has a name for each way, and llama.cpp the rule; a Hugging Face folder has the rule and no name. `KINDS` has both.

Left out: other tokenizers (SentencePiece, WordPiece), and the rules of other models.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from openai_local.errors import LocalError
from openai_local.models.hugging_face import chat_template, end_token, read_json, token_named


@dataclass(frozen=True)
class Kind:
    """A way to cut texts: `cut` makes the pre-tokenizer of the `tokenizers` package.

    `whole` says whether a piece that is a token as it stands is not merged from its bytes (``ignore_merges``), and
    `starts` whether llama.cpp puts the start token before each text, when the file does not say.
    """

    cut: Callable[[], pre_tokenizers.PreTokenizer]
    whole: bool = False
    starts: bool = False


_sequence, _bytes = pre_tokenizers.Sequence, partial(pre_tokenizers.ByteLevel, add_prefix_space=False)


def _rule(digits: str) -> Callable[[], pre_tokenizers.PreTokenizer]:
    """GPT-4's way to cut, with its rule for digits."""
    rule = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|"
        r"\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    return lambda: _sequence([pre_tokenizers.Split(Regex(rule), "isolated"), _bytes(use_regex=False)])


# By llama.cpp's names for them (llama-vocab.cpp: LLAMA_VOCAB_PRE_TYPE_*).
KINDS = {
    "gpt-2": Kind(_bytes),
    "smollm": Kind(lambda: _sequence([pre_tokenizers.Digits(individual_digits=True), _bytes()])),
    "qwen2": Kind(_rule(r"\p{N}")),
    "llama-bpe": Kind(_rule(r"\p{N}{1,3}"), whole=True, starts=True),
}


def from_gguf(fields: Mapping[str, Any], where: str) -> Tokenizer:
    """The tokenizer that a GGUF file's metadata describe."""
    model, pre = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre")
    if model != "gpt2" or not isinstance(pre, str) or pre not in KINDS:
        raise LocalError(
            f"{where} has a tokenizer that can't be trained with here: {repr(model)[:40]}, which cuts texts as "
            f"{repr(pre)[:40]}. These can: 'gpt2' with {', '.join(KINDS)}."
        )
    tokens, types, merges = (fields.get(f"tokenizer.ggml.{key}", []) for key in ("tokens", "token_type", "merges"))
    if not (_texts(tokens) and _texts(merges) and isinstance(types, list) and len(types) == len(tokens) > 0):
        raise LocalError(f"{where} has a tokenizer without its tokens, their types or their merges.")
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    try:
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs, ignore_merges=KINDS[pre].whole))
    except Exception as error:  # the package has no error of its own
        raise LocalError(f"The tokenizer in {where} is not sound: {_in_a_line(error)}.") from None
    tokenizer.pre_tokenizer = KINDS[pre].cut()
    tokenizer.decoder = decoders.ByteLevel()
    for type_, special in ((TokenType.CONTROL, True), (TokenType.USER_DEFINED, False)):
        added = [token for token, its in zip(tokens, types, strict=True) if its == type_]
        tokenizer.add_tokens([AddedToken(token, special=special, normalized=False) for token in added])
    return tokenizer


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer in a Hugging Face folder, without what would cut or fill up texts."""
    return _load(folder / "tokenizer.json")[0]


def describe_tokenizer(writer: GGUFWriter, folder: Path, config: dict[str, Any]) -> None:
    """Write what GGUF has to keep of such a tokenizer. Tokens that it lacks, and the model has, get names."""
    path, size = folder / "tokenizer.json", config["vocab_size"]
    tokenizer, pre, pairs = _load(path)
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    if any(number >= size for number in vocabulary.values()):
        raise LocalError(f"{path} has more tokens than the model, which has {size:,}. Do they belong together?")
    tokens, types = [f"[PAD{number}]" for number in range(size)], [int(TokenType.UNUSED)] * size
    for token, number in vocabulary.items():
        tokens[number], types[number] = token, int(TokenType.NORMAL)
    if len(set(tokens)) < size or len(set(vocabulary.values())) < len(vocabulary):
        raise LocalError(f"{path} has two tokens with one name or one number.")
    for number, added in tokenizer.get_added_tokens_decoder().items():
        types[number] = int(TokenType.CONTROL if added.special else TokenType.USER_DEFINED)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in pairs]
    told = read_json(folder / "tokenizer_config.json", optional=True)
    bare, whole = tokenizer.encode("a", add_special_tokens=False).ids, tokenizer.encode("a").ids
    if bare not in (whole, whole[1:]):
        raise LocalError(f"The tokenizer in {path} adds other tokens to a text than one at its start.")
    start = None if whole == bare else whole[0]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_add_bos_token(start is not None)
    if start is None:
        start = token_named(told.get("bos_token"), tokens)
    if start is not None:
        writer.add_bos_token_id(start)
    writer.add_eos_token_id(end_token(told, config["eos_token_id"], tokens, folder))
    if template := chat_template(folder, told):
        writer.add_chat_template(template)


def _load(path: Path) -> tuple[Tokenizer, str, list[Any]]:
    """The tokenizer in a file, made of what has been looked at; the name of its way to cut; its merges."""
    try:
        read = read_json(path)
    except LocalError as error:
        raise LocalError(f"The tokenizer can't be read. {error}") from None
    pre = _kind(read, path)
    kept = ("version", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "model")
    if not _is_plain_start(read.get("post_processor")):
        raise LocalError(f"The tokenizer in {path} adds other tokens to a text than one at its start.")
    try:
        tokenizer = Tokenizer.from_str(json.dumps({key: read[key] for key in kept if key in read}))
    except Exception as error:  # the package has no error of its own
        raise LocalError(f"{path} can't be read: {_in_a_line(error)}.") from None
    return tokenizer, pre, read["model"]["merges"]


def _in_a_line(error: Exception) -> str:
    """What the package tokenizers says of an error, which may be several lines."""
    return " ".join(str(error).split())[:200]


def _kind(read: dict[str, Any], path: Path) -> str:
    """The name of its way to cut. It is looked at before the `tokenizers` package gets anything of it."""
    model, normalizer = read.get("model"), read.get("normalizer")
    try:
        cut = _plain(read.get("pre_tokenizer"))
    except RecursionError:
        cut = None
    plain = normalizer in (None, {"type": "NFC"})
    if isinstance(model, dict) and _is_bpe(model) and plain:
        for name, kind in KINDS.items():
            if (
                cut == _plain(json.loads(kind.cut().__getstate__()))
                and bool(model.get("ignore_merges")) == kind.whole
            ):
                return name
    raise LocalError(
        f"The tokenizer in {path} is not one that works here: byte-level BPE that cuts texts as one of "
        f"{', '.join(KINDS)} does."
    )


def _is_plain_start(told: Any) -> bool:
    """Whether what is put around a text is of a form that the `tokenizers` package does not panic at."""
    kind = told.get("type") if isinstance(told, dict) else None
    if kind == "Sequence":
        inner = told.get("processors")
        if not isinstance(inner, list) or not all(isinstance(item, dict) for item in inner):
            return False
        kinds = [item.get("type") for item in inner]
        adding = len(kinds) - kinds.count("ByteLevel")  # of two that add tokens, the second gets pieces
        return "Sequence" not in kinds and adding <= 1 and all(map(_is_plain_start, inner))
    if kind != "TemplateProcessing":
        return told is None or kind in ("ByteLevel", "BertProcessing", "RobertaProcessing")
    pieces, known = told.get("single"), told.get("special_tokens")
    if not isinstance(pieces, list) or not isinstance(known, dict):
        return False
    inserted = [piece.get("SpecialToken") if isinstance(piece, dict) else None for piece in pieces]
    texts = [piece for piece, token in zip(pieces, inserted, strict=True) if token is None]
    named = [token.get("id") if isinstance(token, dict) else None for token in inserted if token is not None]
    return texts == [{"Sequence": {"id": "A", "type_id": 0}}] and all(
        isinstance(name, str) and name in known for name in named
    )


def _is_bpe(model: dict[str, Any]) -> bool:
    odd = ("byte_fallback", "continuing_subword_prefix", "dropout", "end_of_word_suffix", "fuse_unk")
    return (
        model.get("type", "BPE") == "BPE"
        and not any(model.get(key) for key in odd)
        and isinstance(model.get("vocab"), dict)
        and isinstance(model.get("merges"), list)
        and all(isinstance(merge, str) or (_texts(merge) and len(merge) == 2) for merge in model["merges"])
    )


def _plain(cut: Any) -> Any:
    """The rule without what has no influence on tokens."""
    if isinstance(cut, dict):
        return {key: _plain(value) for key, value in cut.items() if key != "trim_offsets"}
    return [_plain(item) for item in cut] if isinstance(cut, list) else cut
