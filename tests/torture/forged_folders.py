"""Hugging Face folders that lie: their JSON, their safetensors, their links. A number makes the same one again."""

import json
import math
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forged import COUNTS, TEMPLATES, harm

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3, 2**31, 2**63, 2**64, 10**400, 0.5, -1.5, 1e308, math.inf, math.nan),
    *(
        "",
        " ",
        "x",
        "\x00",
        "\ud800",
        "../x",
        "/etc/passwd",
        "x" * 100_000,
        [],
        [[]],
        {},
        {"x": 1},
        {"type": "BPE"},
    ),
    *([0, 1], [-1, 2**40], [None], ["a", "b"], {"0": 0}),
)


def _nodes(tree: Any, most: int = 2000) -> list[tuple[Any, Any]]:
    """The places in a tree of JSON: what holds each, and its key."""
    found: list[tuple[Any, Any]] = []
    left = [tree]
    while left and len(found) < most:
        holder = left.pop(0)
        keys = [*holder] if isinstance(holder, dict) else [*range(min(len(holder), 40))]
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                left.append(holder[key])
    return found


def twist(chance: random.Random, tree: Any) -> None:
    """Make one place of a tree of JSON another. Those near its top come more often."""
    nodes = _nodes(tree)
    holder, key = nodes[min(int(chance.expovariate(4 / len(nodes))), len(nodes) - 1)]
    if isinstance(holder, dict) and chance.random() < 0.3:
        change = chance.choice(["gone", "renamed", "moved"])
        if change == "gone":
            del holder[key]
        else:
            other = (
                str(chance.choice(["x", "../x", "__metadata__", ""]))
                if change == "renamed"
                else chance.choice([*holder])
            )
            holder[other] = holder.pop(key)
    elif type(holder[key]) is int and chance.random() < 0.5:
        holder[key] = holder[key] + chance.choice([1, -1, 8, -8, 2**32, -(2**32), 2**64])
    else:
        holder[key] = chance.choice(VALUES)


def _json(name: str) -> Callable[[random.Random, Path, Path], None]:
    def lie(chance: random.Random, folder: Path, outside: Path) -> None:
        path = folder / name
        tree = json.loads(path.read_text(encoding="utf-8"))
        twist(chance, tree)
        path.write_text(json.dumps(tree), encoding="utf-8")

    return lie


def _added(chance: random.Random, folder: Path, outside: Path) -> None:
    """What a tokenizer may have besides, and what a config may say."""
    special = {
        "id": "<|endoftext|>",
        "ids": [chance.choice([0, 5, 2**31, 2**32 - 1])],
        "tokens": ["<|endoftext|>"],
    }
    post = {"type": "TemplateProcessing", "pair": [], "special_tokens": {"<|endoftext|>": special}}
    first, own = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    post["single"] = chance.choice([[first, own], [own, first], [first], [own, own], [], [first] * 1000 + [own]])
    if chance.random() < 0.3:
        post["special_tokens"] = {}
    token = {
        "id": chance.choice([0, 3, 262, 263, 2**31]),
        "content": chance.choice(["", "<x>", "e", " ", "x" * 100_000]),
    }
    flags = {name: chance.random() < 0.3 for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}
    nested = {"type": "Sequence", "processors": [post] * chance.choice([0, 1, 3])}
    more: list[tuple[str, dict[str, Any]]] = [
        ("tokenizer.json", {"post_processor": post}),
        ("tokenizer.json", {"post_processor": nested}),
        ("tokenizer.json", {"added_tokens": [{**token, **flags}] * chance.choice([1, 2])}),
        (
            "tokenizer.json",
            {"normalizer": chance.choice([{"type": "NFC"}, {"type": "Replace"}, {"type": "Precompiled"}])},
        ),
        ("tokenizer.json", {"truncation": {"max_length": 0}, "padding": {"strategy": {"Fixed": 2**40}}}),
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}),
        ("config.json", {"num_hidden_layers": chance.choice(COUNTS), "vocab_size": chance.choice(COUNTS)}),
        ("config.json", {"eos_token_id": chance.choice([[], [[]], "2", -1, 2.0, 10**9, None, True])}),
        ("config.json", {"rope_scaling": chance.choice([5, [], {"type": None}, {"rope_theta": -1}])}),
        ("tokenizer_config.json", {"eos_token": chance.choice(["x", {"content": 5}, [], {}, "<|im_start|>"])}),
        (
            "tokenizer_config.json",
            {"chat_template": chance.choice([*TEMPLATES, 5, [], [{"name": "default"}], {"a": 1}])},
        ),
    ]
    name, changes = chance.choice(more)
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def _split(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _weights(chance: random.Random, folder: Path, outside: Path) -> None:
    """Safetensors whose head lies."""
    path = folder / "model.safetensors"
    head, data = _split(path)
    names = [name for name in head if name != "__metadata__"]
    one, other = head[chance.choice(names)], head[chance.choice(names)]
    lie = chance.randrange(8)
    length = None
    if lie == 0:
        one["data_offsets"][chance.randrange(2)] = chance.choice([*COUNTS, -1, -(2**63), 2**80, 1.0, "0", None])
    elif lie == 1:
        one["shape"] = chance.choice(
            [[], [0], [-1, -64], [2**32, 2**32], [2**63], one["shape"][::-1], [1.0], "x", [None]]
        )
    elif lie == 2:
        one["dtype"] = chance.choice(
            ["F64", "I8", "BOOL", "F8_E4M3", "BF16", "F32", "", "O", None, 5, "f2", ["F16"]]
        )
    elif lie == 3:
        one["data_offsets"], other["data_offsets"] = other["data_offsets"], one["data_offsets"]
    elif lie == 4:
        length = chance.choice(COUNTS)
    elif lie == 5:
        at = chance.randrange(0, len(data) - 2, 2)
        data = data[:at] + chance.choice([b"\x00\x7c", b"\x00\x7e", b"\xff\xff"]) + data[at + 2 :]
    else:
        twist(chance, head)
    raw = json.dumps(head).encode()
    if lie == 6:
        raw = chance.choice([raw[:-1], b"[" * 100_000, b"", raw.replace(b"model.norm", b"\xff"), b"[]", b" " * 8])
    path.write_bytes((len(raw) if length is None else length).to_bytes(8, "little") + raw + data)


def _bytes(chance: random.Random, folder: Path, outside: Path) -> None:
    path = chance.choice(sorted(folder.iterdir()))
    content = path.read_bytes()
    head = 8 + int.from_bytes(content[:8], "little") if path.suffix == ".safetensors" else len(content)
    path.write_bytes(harm(chance, content, head))


def _link(chance: random.Random, folder: Path, outside: Path) -> None:
    """A file is a link out of the folder, to itself, or no file at all."""
    name = chance.choice(
        ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "chat_template.jinja"]
    )
    path = folder / name
    aside = outside / name
    if path.exists():
        path.rename(aside)
    else:
        aside.write_text("{{ 'a secret' }}", encoding="utf-8")
    kind = chance.randrange(5)
    if kind == 0:
        path.symlink_to(aside)
    elif kind == 1:
        path.symlink_to(os.path.relpath(aside, folder))
    elif kind == 2:
        path.symlink_to(path)
    elif kind == 3:
        os.mkfifo(path)
    else:
        path.mkdir()


def _index(chance: random.Random, folder: Path, outside: Path) -> None:
    """An index that names files elsewhere."""
    path = folder / "model.safetensors"
    shutil.copyfile(path, outside / path.name)
    named = [
        "../outside/model.safetensors",
        str(outside / path.name),
        "..",
        ".",
        "",
        "a\x00b",
        "config.json",
        "x" * 5000,
    ]
    named += ["pytorch_model.bin", "model.safetensors/", "./model.safetensors", "\ud800"]
    told = {"model.norm.weight": chance.choice([*named, 5, None, ["model.safetensors"]])}
    index = chance.choice([{"weight_map": told}, {"weight_map": {**told, "a": path.name}}, {"weight_map": []}, {}])
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"model.norm.weight": [1.0]}))


FOLDER_LIES: list[Callable[[random.Random, Path, Path], None]] = [
    *(_json("config.json"), _json("config.json"), _json("tokenizer.json"), _json("tokenizer_config.json")),
    *(_added, _added, _added, _weights, _weights, _weights, _bytes, _link, _index),
]


def spoil(number: int, folder: Path, outside: Path) -> None:
    """Make a Hugging Face folder lie. `outside` is a folder beside it, where files lie that it must not reach."""
    chance = random.Random(f"folder {number}")
    chance.choice(FOLDER_LIES)(chance, folder, outside)
