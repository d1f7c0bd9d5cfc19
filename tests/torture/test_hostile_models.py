"""Models that lie, as somebody may register them: each is refused in a sentence, or is really usable.

What lies about counts, sizes and places is refused before llama.cpp is given it. A failure names the kind and the
number; `forged.model`, `forged_adapters.adapter` and `forged_folders.spoil` make it again.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from openai_local.errors import LocalError
from openai_local.models.adapter import Factors, write_adapter
from openai_local.models.base_models import SMOLLM2
from openai_local.models.conversion import convert
from tiny import CONFIG, HEADS, INNER, KV_HEADS, LAYERS, WIDTH

HERE = Path(__file__).parent
LATE = {
    "model": ("cut the text", "llama.cpp can't load the model", "maximum context length"),
    "folder": ("cut the text", "llama.cpp can't load the model", "maximum context length"),
    "adapter": (),
}
"""What can be said of a model only when llama.cpp has it: sizes and places are all right then."""
LONGEST, SECONDS, MEBIBYTES = 1_000, 5, 400


@pytest.fixture
def sound(tmp_path, tiny_cache):
    """A sound model of each kind."""
    folder = shutil.copytree(SMOLLM2.at(tiny_cache).weights, tmp_path / "folder")
    told = {"eos_token": "<|im_end|>", "bos_token": "<|im_start|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")
    return {
        "model": SMOLLM2.at(tiny_cache).gguf,
        "folder": folder,
        "adapter": an_adapter(tmp_path / "adapter.gguf"),
    }


def an_adapter(path):
    chance, kv = np.random.default_rng(0), WIDTH // HEADS * KV_HEADS
    sides = {"q": (WIDTH, WIDTH), "k": (WIDTH, kv), "v": (WIDTH, kv), "o": (WIDTH, WIDTH)}
    sides |= {"gate": (WIDTH, INNER), "up": (WIDTH, INNER), "down": (INNER, WIDTH)}
    factors = {
        (layer, f"{name}_proj"): Factors(chance.random((4, inputs)) / 9, chance.random((outputs, 4)) / 9)
        for layer in range(LAYERS)
        for name, (inputs, outputs) in sides.items()
    }
    write_adapter(path, factors, CONFIG, 8.0)
    return path


def verdicts(kind, count, place, base, sound):
    words = [
        sys.executable,
        str(HERE / "registering.py"),
        kind,
        "0",
        str(count),
        str(place),
        str(base),
        str(sound),
    ]
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, f"{kind}: the process ended at number {lines[-1:]}: {done.stderr[-2000:]}"
    assert done.stderr == "", f"{kind}: nothing but sentences may be said"
    return [line for line in lines if "said" in line]


def is_well(one, late):
    """Whether what became of a model is as it should be."""
    if one["seconds"] >= SECONDS or one["peak"] >= MEBIBYTES or one["unpickled"]:
        return False
    if (said := one["said"]) is None:
        return True
    a_sentence = len(said.splitlines()) == 1 and len(said) < LONGEST and "should not come" not in said
    return a_sentence and (not one["given"] or any(words in said for words in late))


@pytest.mark.parametrize(("kind", "many"), [("model", 5_000), ("adapter", 3_000), ("folder", 5_000)])
def test_what_lies_is_refused_or_used(size, tried, tmp_path, sound, kind, many):
    found = verdicts(kind, size(100, many), tmp_path / "lies", sound["model"], sound[kind])
    used = sum(one["said"] is None for one in found)
    assert len(found) == size(100, many)
    assert [one for one in found if not is_well(one, LATE[kind])] == []
    assert 0.03 < used / len(found) < 0.6, "some of each kind"
    names = {"model": "GGUF models", "adapter": "GGUF adapters", "folder": "Hugging Face folders"}
    tried(f"{names[kind]} that lie", f"{len(found):,}, {used:,} could be used all the same", 0)


def test_a_template_that_calls_itself_is_refused(tmp_path, sound):
    """llama.cpp would end the whole process at each of these."""
    from gguf_pieces import File

    path = tmp_path / "model.gguf"
    for template in (
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}",
        "{% macro a() %}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{% macro a() %}{{ b() }}"
        "{% endmacro %}",
        "{% macro m() %}{{ n() }}{% endmacro %}{% macro n() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set ns = namespace() %}{% macro m() %}{{ ns.f() }}{% endmacro %}{% set ns.f = m %}{{ m() }}",
        "{% block b %}{{ self.b() }}{% endblock %}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% raw %}{{ " + "(" * 50_000 + "{% endraw %}",
        "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
    ):
        file = File.read(sound["model"])
        file.put("tokenizer.chat_template", template)
        path.write_bytes(file.bytes())
        with pytest.raises(
            LocalError, match=r"its chat template .* Give the model a simpler template, or none\.$"
        ):
            convert(path, tmp_path / "weights")
