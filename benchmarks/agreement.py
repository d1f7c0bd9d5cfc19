"""Whether the service's answers are those of the PyTorch model, for all 107 questions of the lesson.

    .venv/bin/python benchmarks/agreement.py [HOME MODEL]

The likeliest answers of the service are shown to the network that training uses, in 32 bits, with the fine-tune's
weights added to the base's. An answer agrees if PyTorch finds each of its tokens the likeliest, the end too: then
it would have written the same. With a HOME and the name of a MODEL that was trained there, that one is asked;
else a model is trained first, which takes some minutes.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import openai
import torch
from openai.types import Model
from openai.types.fine_tuning import FineTuningJob

from machine import table, tell
from openai_lesson import catechism
from openai_local.home import Home, default_cache
from openai_local.models.export import export
from openai_local.service.store import Store
from openai_local.trained import find
from openai_local.training.network import Llama
from openai_local.training.tokenisation import Encoder
from service import Service, service

MOST_TOKENS = 300


def records() -> list[dict[str, str]]:
    """The lesson's training file."""
    rows = catechism.load().itertuples()
    return [{"prompt": row.prompt, "completion": f" {row.completion}"} for row in rows]


def train(client: openai.OpenAI) -> str:
    """Train as the lesson does. Returns the model's name."""
    tell("training with the lesson's questions; this takes some minutes")
    lines = "\n".join(map(json.dumps, records())).encode()
    file = client.files.create(file=("catechism.jsonl", lines), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=file.id, model="ada", seed=1648)
    while (job := client.fine_tuning.jobs.retrieve(job.id)).status not in ("succeeded", "failed"):
        time.sleep(1)
    if not job.fine_tuned_model:
        raise SystemExit(f"Training failed: {job.error}")
    return job.fine_tuned_model


def bring(found: Service, home: Home, name: str) -> str:
    """Make a model of another home known to the service. Returns its name."""
    theirs, mine = Store(home.database), Store(found.home.database)
    private = theirs.private(Model, name)
    model, job = theirs.get(Model, name), theirs.get(FineTuningJob, private.get("job", ""))
    if model is None or job is None:
        raise SystemExit(f"There is no model {name} in {home.path}.")
    shutil.copytree(home.jobs / job.id, found.home.jobs / job.id)
    mine.add(job, "benchmark", **theirs.private(FineTuningJob, job.id))
    mine.add(model, "benchmark", **private)
    theirs.close()
    mine.close()
    return name


def answers(client: openai.OpenAI, name: str) -> list[dict[str, Any]]:
    """The likeliest answer to each question, as a record, and whether it came to an end."""
    said = []
    for number, record in enumerate(records(), start=1):
        if number % 20 == 0:
            tell(f"question {number} of {len(records())}")
        choice = client.completions.create(
            model=name, prompt=record["prompt"], temperature=0, max_tokens=MOST_TOKENS
        ).choices[0]
        said.append({**record, "said": choice.text, "ended": choice.finish_reason == "stop"})
    return said


def merged(found: Service, name: str) -> tuple[Llama, Encoder]:
    """The fine-tune as one network in PyTorch, and its tokenizer."""
    source = find(found.home, default_cache(), name)
    with tempfile.TemporaryDirectory() as folder:
        export(source, "merged", Path(folder) / "model")
        network = Llama(Path(folder) / "model", device=torch.device("cpu"), dtype=torch.float32)
    return network, Encoder(source.base.weights)


@torch.inference_mode()
def likeliest(network: Llama, tokens: list[int]) -> list[int]:
    """What the network finds likeliest after each token."""
    count = len(tokens)
    mask = torch.full((count, count), float("-inf")).triu(1)[None, None]
    states, angles = network.embedding[torch.tensor(tokens)], network.angles(torch.arange(count))
    for layer in network.layers:
        states = layer(states, mask, angles)
    return (network.normalise(states) @ network.head.T).argmax(-1).tolist()


def agrees(network: Llama, encoder: Encoder, said: dict[str, Any]) -> bool:
    """Whether PyTorch would have given the same answer."""
    before = encoder.start + encoder.tokens(said["prompt"])
    answer = encoder.tokens(said["said"]) + ([encoder.end] if said["ended"] else [])
    return likeliest(network, before + answer)[len(before) - 1 : -1] == answer


def main() -> None:
    """Measure and print."""
    with service() as found:
        given = sys.argv[1:]
        name = bring(found, Home.at(Path(given[0])), given[1]) if given else train(found.client)
        said = answers(found.client, name)
        network, encoder = merged(found, name)
        same = sum(agrees(network, encoder, answer) for answer in said)
        right = sum(answer["said"] == answer["completion"] for answer in said)
    rows = [
        ["the service's answer is that of the PyTorch model", f"{same} of {len(said)}"],
        ["the service's answer is that of the catechism", f"{right} of {len(said)}"],
    ]
    print(table(["the likeliest answers", "questions"], rows))


if __name__ == "__main__":
    main()
