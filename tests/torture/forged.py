"""GGUF models that lie: something is wrong in them. `forged_adapters` has the adapters.

A number makes the same one again. The lies are told in the right form: a file is taken apart, one of its pieces is
made another, and it is put together anew. So it is the lie that must be found, and not a wreck around it.
"""

import math
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gguf_pieces import File, value

COUNTS = (0, 1, 2, 3, 5, 7, 63, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**61, 2**62, 2**63, 2**64 - 1)
NUMBERS = (0.0, -0.0, -1.0, 1e-45, 1e38, math.inf, -math.inf, math.nan)
TEMPLATES = (
    "{% for",
    "{{ messages[0]['content'] }",
    "{{ raise_exception('no') }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ cycler.__init__.__globals__.os.system('true') }}",
    "{% include '/etc/passwd' %}",
    "{{ messages[9]['content'] }}",
    "{{ 1 / 0 }}",
    "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
    "{% if true %}" * 20_000,
    "{{ " + "[" * 50_000 + " }}",
    "{{ " + "not " * 50_000 + "true }}",
    "{{ " + "-" * 50_000 + "1 }}",
    "{{ 1" + " + 1" * 50_000 + " }}",
    "{{ a" + ".a" * 50_000 + " }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "\x00",
    "x" * 1_000_000,
)

Lie = Callable[[random.Random, File], None]


def _counts(chance: random.Random, file: File) -> None:
    setattr(file, chance.choice(["n_entries", "n_tensors"]), chance.choice(COUNTS))


def _version(chance: random.Random, file: File) -> None:
    file.version = chance.choice([0, 1, 2, 4, 0x03000000, 2**32 - 1])


def _key(chance: random.Random, file: File) -> None:
    at = chance.randrange(len(file.entries))
    keys = [b"", b"\x00", b"\xff\xfe", b"a" * 70_000, b"../../x", file.entries[0][0], b"llama.expert_count"]
    more = [b"tokenizer.ggml.precompiled_charsmap", b"llama.rope.scaling.attn_factor", b"llama.logit_scale"]
    file.entries[at] = (chance.choice([*keys, *more]), file.entries[at][1])


def _without(chance: random.Random, file: File) -> None:
    del file.entries[chance.randrange(len(file.entries))]


def _twice(chance: random.Random, file: File) -> None:
    file.entries.append(chance.choice(file.entries))


def _type(chance: random.Random, file: File) -> None:
    """Another type, a list in a list, or a length that lies."""
    at = chance.randrange(len(file.entries))
    key, raw = file.entries[at]
    count = chance.choice(COUNTS)
    forms = [
        struct.pack("<I", chance.choice([*range(15), 77, 2**32 - 1])) + raw[4:],
        struct.pack("<IIQ", 9, chance.choice([*range(14), 77]), count) + raw[4:],
        struct.pack("<IIQ", 9, 9, 3) * 50_000,
        struct.pack("<IQ", 8, count) + raw[4:],
        value(chance.choice([True, 5, 1.5, "text", ["a", "b"], [], [1, 2], [1.0]])),
        struct.pack("<IQ", 11, 2**63 - 1 if chance.random() < 0.5 else 7),
        struct.pack("<Id", 12, 1e-5),
    ]
    file.entries[at] = (key, chance.choice(forms))


def _number(chance: random.Random, file: File) -> None:
    """A number of the network that can't be, or that its tensors do not have."""
    counts = "context_length embedding_length block_count feed_forward_length attention.head_count vocab_size"
    counts += (
        " attention.head_count_kv rope.dimension_count attention.key_length attention.value_length expert_count"
    )
    counts += " attention.sliding_window rope.scaling.original_context_length"
    numbers = ["attention.layer_norm_rms_epsilon", "rope.freq_base", "rope.scale_linear", "rope.scaling.factor"]
    if chance.random() < 0.7:
        file.put(f"llama.{chance.choice(counts.split())}", min(chance.choice(COUNTS), 2**32 - 1))
    else:
        file.put(f"llama.{chance.choice(numbers)}", chance.choice(NUMBERS))


def _vocabulary(chance: random.Random, file: File) -> None:
    count = 3 + 256 + 4
    odd_tokens = [
        [f"t{n}" for n in range(count)],
        ["a"] * count,
        [""] * count,
        ["x" * 1_000_000, *map(str, range(262))],
    ]
    odd_merges = [["ab"], [" "], ["a  b"], ["not there"], ["a b c"], ["Ġ t"] * 300_000, [""], ["\x00 \x00"]]
    told: list[tuple[str, Any]] = [
        ("tokens", chance.choice([*odd_tokens, [], ["a", "b"]])),
        ("merges", chance.choice(odd_merges)),
        (
            "token_type",
            struct.pack("<IIQ", 9, 5, count) + struct.pack("<i", chance.choice([0, 7, -1, 2**31 - 1])) * count,
        ),
        (
            "token_type",
            struct.pack("<IIQ", 9, 5, count) + struct.pack("<i", chance.choice([1, 2, 3, 4, 5, 6])) * count,
        ),
        ("scores", [chance.choice(NUMBERS)] * chance.choice([1, count])),
        ("model", chance.choice(["llama", "bert", "t5", "rwkv", "none", "", "no_vocab", "gpt2\x00"])),
        ("pre", chance.choice(["default", "qwen2", "llama-bpe", "gpt-2", "tekken", "", "x" * 100_000])),
        (
            chance.choice(["bos_token_id", "eos_token_id", "padding_token_id"]),
            min(chance.choice(COUNTS), 2**32 - 1),
        ),
        (
            chance.choice(["eot_token_id", "fim_pre_token_id", "mask_token_id"]),
            min(chance.choice(COUNTS), 2**32 - 1),
        ),
        (chance.choice(["add_bos_token", "add_eos_token", "add_space_prefix"]), True),
    ]
    key, put = chance.choice(told)
    file.put(f"tokenizer.ggml.{key}", put)


def _template(chance: random.Random, file: File) -> None:
    file.put("tokenizer.chat_template", chance.choice(TEMPLATES))


def _alignment(chance: random.Random, file: File) -> None:
    told = chance.choice([0, 1, 2, 3, 7, 8, 16, 64, 4096, 2**17, 2**31, 2**32 - 1])
    file.put("general.alignment", told)
    if chance.random() < 0.3:
        file.alignment = max(1, min(told, 2**16))


def _tensor(chance: random.Random, file: File) -> None:
    tensor, other = chance.choices(file.tensors, k=2)
    lie = chance.randrange(7)
    if lie == 0:
        tensor.name = chance.choice(
            [b"", b"\xff", b"x" * 64, b"x" * 70_000, b"a\x00b", other.name, b"rope_freqs.weight"]
        )
    elif lie == 1:
        tensor.dimensions[chance.randrange(len(tensor.dimensions))] = chance.choice(COUNTS)
    elif lie == 2:
        tensor.dimensions = chance.choice(
            [[], [2**32, 2**32], [2**31, 2**31, 4], tensor.dimensions[::-1], [64] * 5]
        )
    elif lie == 3:
        tensor.kind = chance.choice([*range(45), 2**31, 2**32 - 1])
    elif lie == 4:
        tensor.offset = chance.choice([*COUNTS, tensor.offset + 32, tensor.offset + 1, 2**64 - 32, other.offset])
    elif lie == 5:
        tensor.name, other.name = other.name, tensor.name
    else:
        tensor.dimensions = [*tensor.dimensions, *chance.choice([[1], [1, 1], [0], [2]])]


def _gone(chance: random.Random, file: File) -> None:
    """The last tensor, or the first, is not there."""
    del file.tensors[chance.choice([0, -1])]


def _numbers(chance: random.Random, file: File) -> None:
    """Numbers that are none, at the place where any may stand."""
    at = chance.randrange(0, len(file.data) - 4, 4)
    odd = chance.choice([struct.pack("<f", number) for number in NUMBERS] + [b"\x00\x7c\x00\x7e", b"\xff" * 4])
    file.data = file.data[:at] + odd + file.data[at + 4 :]


OF_ANY: list[Lie] = [_counts, _version, _key, _without, _twice, _type, _alignment, _gone, _numbers]
OF_ANY += [_tensor, _tensor]
"""Lies that a file of either kind can tell; those that come twice are told twice as often."""
LIES = [*OF_ANY, _type, _number, _number, _vocabulary, _vocabulary, _template, _tensor]


def harm(chance: random.Random, content: bytes, head: int) -> bytes:
    """Cut a file short, make it longer, or turn some bits, most of them in its head."""
    if (way := chance.random()) < 0.3:
        return content[: chance.choice([chance.randrange(len(content)), len(content) - 1, chance.randrange(head)])]
    if way < 0.4:
        return content + chance.randbytes(chance.choice([1, 31, 4096]))
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8])):
        changed[chance.randrange(head if chance.random() < 0.9 else len(content))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def model(number: int, sound: Path) -> bytes:
    """A GGUF model that lies."""
    chance, file = random.Random(f"model {number}"), File.read(sound)
    for _ in range(chance.choice([1, 1, 1, 2]) if chance.random() < 0.8 else 0):
        chance.choice(LIES)(chance, file)
    content = file.bytes()
    return content if chance.random() < 0.7 else harm(chance, content, max(len(content) - len(file.data), 24))
