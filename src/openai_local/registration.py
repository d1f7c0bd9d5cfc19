"""A user's own base model: from a GGUF file or a Hugging Face folder to a name that jobs accept.

The files are linked or copied, unpacked for training, and tried: llama.cpp and the tokenizer that training uses
must cut the same texts into the same tokens, and make the same prompt of a conversation. Only then does the folder
get its name, so nothing is registered by halves.
"""

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from openai_local.answering.inference import AnswerError, Answering, Target
from openai_local.errors import LocalError
from openai_local.home import link
from openai_local.models.architectures import tensors
from openai_local.models.base_models import Base, Bases, note
from openai_local.models.conversion import convert, write_gguf
from openai_local.models.gguf_header import read_header
from openai_local.models.vocabulary import tokenizer_of
from openai_local.training.dataset import DataError
from openai_local.training.tokenisation import Encoder

TEXTS = (
    "What is 1647? It's 3.14 %, isn't it? WE'LL see.",
    "  two  spaces\n\n\tand a tab\r\n   ",
    "naïve café, Ελλάδα, 日本語, हिन्दी, 🙂👍🏽",
    "def f(x):\n    return x**2  # ok\n\n\n",
    "12345 6789 ½ ² ٣",
)
"""Texts that the known ways to cut take apart differently."""

_NAMED = 64  # so many tokens with a name are tried
_CONVERSATION = [{"role": "user", "content": "What is sin?"}, {"role": "assistant", "content": "A want."}]


def register(
    bases: Bases,
    name: str,
    source: Path,
    *,
    title: str | None = None,
    licence: str | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Base:
    """Register a base model among `bases`, under the `name` that the API will have for it.

    The `source` is a ``.gguf`` file or a Hugging Face folder, and not needed afterwards. People call the model by
    its `title`, if not by its name, and its `licence` by a name too. `tell` is called with sentences about what is
    found on the way. Raises `LocalError` if the name or the model can't be used. Nothing is kept then.
    """
    bases.check_new(name)
    source, title, part = source.expanduser(), title or name, bases.folder / f".{name}.part"
    if not source.exists():
        raise LocalError(f"There is no file or folder {source} in {Path.cwd()}.")
    try:
        bases.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(bases.folder / ".lock", timeout=0):
            bases.check_new(name)
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(mode=0o700)
            try:
                config = _fill(part, source.resolve(), title, tell)
                facts = {
                    "licence": licence or "licence not told",
                    "created": int(time.time()),
                    "architecture": config["model_type"],
                    "parameters": sum(math.prod(tensor.shape) for tensor in tensors(config)),
                }
                note(Base(name=name, title=title, folder=part, **facts))
                part.rename(bases.folder / name)
            finally:
                shutil.rmtree(part, ignore_errors=True)
            return bases.require(name)
    except Timeout:
        raise LocalError("Another base model is being added just now. Try again when that is done.") from None
    except OSError as error:
        raise LocalError(f"The base model can't be added: {error}.") from None


def _fill(part: Path, source: Path, title: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """Make a base's files in the folder `part`, try them, and return their ``config.json``."""
    gguf, weights = part / "model.gguf", part / "weights"
    if source.is_dir():
        write_gguf(source, gguf, title)
    elif source.suffix == ".gguf":
        read_header(source)
        link(source, gguf)
    else:
        message = f"{source} is neither a .gguf file nor a Hugging Face folder (config.json, *.safetensors)."
        raise LocalError(message)
    convert(gguf, weights)
    _compare(gguf, weights, source, tell)
    return json.loads((weights / "config.json").read_text(encoding="utf-8"))


def _compare(gguf: Path, weights: Path, source: Path, tell: Callable[[str], None]) -> None:
    """Raise `LocalError` unless llama.cpp and training (and the source's own tokenizer) see texts alike."""
    encoder, answering, target = Encoder(weights), Answering(), Target(gguf)
    try:
        answering.tokens(target, "")
    except LocalError:
        raise LocalError(
            f"llama.cpp can't load the model in {source}. It may be damaged, too large for this machine's memory, "
            "or have a chat template that llama.cpp does not understand."
        ) from None
    own = tokenizer_of(source) if source.is_dir() else None
    names = [token.content for token in encoder.tokenizer.get_added_tokens_decoder().values()][:_NAMED]
    try:
        for text in (*TEXTS, *(f"a {name} b" for name in names)):
            theirs = answering.tokens(target, text)
            ours = [*encoder.start, *encoder.tokens(text)]
            if theirs != ours or (own and own.encode(text).ids != ours):
                raise LocalError(
                    f"llama.cpp and the tokenizer of {source.name} cut the text {text!r} into different tokens, "
                    "so what is trained would not be what is asked. This model can't be used here."
                )
        if encoder.template and not _prompts_agree(encoder, answering, target):
            (weights / "chat_template.jinja").write_text("", encoding="utf-8")
            tell(
                "Its chat template gives another prompt in training than in llama.cpp. So it can be trained with "
                "prompts and completions, but not with chat messages."
            )
    finally:
        answering.close()


def _prompts_agree(encoder: Encoder, answering: Answering, target: Target) -> bool:
    try:
        example = encoder.encode({"messages": _CONVERSATION}, 1 << 20)
        prompt = answering.tokens(target, answering.prompt(target, _CONVERSATION[:1]))
    except (DataError, AnswerError):
        return False
    return True in example.counts and example.tokens[: example.counts.index(True)] == prompt
