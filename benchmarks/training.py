"""Training: seconds until the lesson's answers are known by heart, next to TRL.

    .venv/bin/python benchmarks/training.py [RUNS]

Ours goes through the real thing: a service, an upload, a job with the defaults (another seed in each of the RUNS,
three if nothing is said), an export. The peer is TRL's `SFTTrainer` with LoRA (`peers/trl_lora.py`), trained until
as many answers are right; it gets an environment of its own, once. Ours is run before it and after it.

- Both learn the same tokens of the same 107 questions and answers, from the same weights.
- Both are measured by the same code (`peers/measure.py`), in float32: which answers are the likeliest in every
  token, the end included, which is when the greedy answer is right word for word; and the mean loss of a token.
- The reworded questions are the lesson's 40 in modern English, which no model here was trained on. Their loss is
  the validation loss.
- The general loss is that of the base's own answers to everyday questions (`everyday`): how much of its language a
  model has kept.
- Both are good enough at the end of the first epoch that leaves such a model: ours of the last three, whose
  checkpoints are kept, the peer's of all. What is told of a model is told of that one.
- Ours is timed from the moment when the data is read until that checkpoint is written, so loading the model
  and writing count. The peer is timed from the beginning of `trainer.train()` to the end of the epoch; loading,
  writing and measuring do not count.
- TRL's learning rate falls to 0 over EPOCHS, its default; it stops as soon as it knows enough.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import torch

import everyday
import openai_data as prepare
from machine import environment_for, product_rate, spread, table, tell
from openai_lesson import catechism
from openai_local.home import default_cache
from openai_local.models.base_models import SMOLLM2
from openai_local.training.dataset import read
from openai_local.training.job_folder import EXAMPLE_TOKENS, Journal
from openai_local.training.tokenisation import Encoder
from service import Service, local, service
from steps import Steps, lesson_file, lines

PEERS = Path(__file__).parent / "peers"
PACKAGES = ("trl==1.16.0", "transformers==5.23.0", "peft==0.21.2", "datasets==5.2.0", "torch==2.13.0")
ENOUGH = int(os.environ.get("BENCHMARK_ENOUGH", "102"))
EPOCHS = int(os.environ.get("BENCHMARK_EPOCHS", "20"))
TRIED = 6
"""Steps after which it is known which precision is faster."""


@dataclass(frozen=True)
class Model:
    """What a model knows.

    Args:
        exact: answers of the training data that are right.
        loss: of these.
        reworded: answers to the reworded questions that are right.
        reworded_loss: of these.
        general: the loss of what the base answers to everyday questions (`everyday`).
    """

    exact: float
    loss: float
    reworded: float
    reworded_loss: float
    general: float


@dataclass(frozen=True)
class Result:
    """One training. All times are in seconds.

    Args:
        recall: from the data on to a model that is good enough.
        first_step: from the order (ours: the job's creation; the peer: its process) to the end of the first step.
        whole: from the order to the end.
        epochs: how many it took until it was good enough.
        exact, loss, reworded, reworded_loss, general: what the model then knew, see `Model`.
    """

    recall: float
    first_step: float
    whole: float
    epochs: float
    exact: float
    loss: float
    reworded: float
    reworded_loss: float
    general: float


def write_tokens(folder: Path, file: Path) -> None:
    """Write the sets of questions as tokens, for the peer's environment."""
    again = prepare.analyse(catechism.paraphrased()[["prompt", "completion"]]).write(folder / "reworded.jsonl")
    encoder = Encoder(SMOLLM2.at(default_cache()).weights)
    sets = {
        name: [encoder.encode(record, EXAMPLE_TOKENS) for record in read(source)]
        for name, source in (("training", file), ("reworded", again))
    }
    sets["general"] = everyday.examples(SMOLLM2.at(default_cache()).weights)
    for name, examples in sets.items():
        rows = [{"input_ids": e.tokens, "completion_mask": [int(counts) for counts in e.counts]} for e in examples]
        (folder / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")


def ours(at: Service, file: Path, seed: int, python: Path) -> tuple[Result, Model]:
    """Train through the service. Returns how it went to the first good model, and what the last one knows."""
    uploaded = at.client.files.create(file=file, purpose="fine-tune").id
    begun = time.time()
    job = at.client.fine_tuning.jobs.create(training_file=uploaded, model="ada", seed=seed).id
    seen, first = Steps(), 0.0
    journal = Journal(at.home.jobs / job)
    for moment, entry in lines(journal, lambda: journal.result() is None):
        seen.see(moment - begun, entry)
        first = first or (seen.ended[0] if seen.ended else 0.0)
    over = (journal.folder / "result.json").stat().st_mtime - begun
    while (found := at.client.fine_tuning.jobs.retrieve(job)).status == "running":
        time.sleep(0.2)
    if found.fine_tuned_model is None:
        raise SystemExit(f"The job failed: {found.error}")
    kept = sorted(at.client.fine_tuning.jobs.checkpoints.list(job), key=lambda checkpoint: checkpoint.step_number)
    for checkpoint in kept:
        step = checkpoint.step_number
        model = measured(
            at, checkpoint.fine_tuned_model_checkpoint, file.with_name(f"adapter-{seed}-{step}"), python
        )
        tell(f"ours, seed {seed}, epoch {step / seen.epoch_steps:.0f}: {model}")
        if model.exact >= ENOUGH:
            break
    end = measured(at, found.fine_tuned_model, file.with_name(f"adapter-{seed}"), python)
    result = Result(seen.checkpoints[step] - seen.settled, first, over, step / seen.epoch_steps, *astuple(model))
    tell(f"ours, seed {seed}: {result}; at the end: {end}")
    return result, end


def measured(at: Service, model: str, folder: Path, python: Path) -> Model:
    """Export a model into a folder, and measure it in the peer's environment."""
    words = ["export", model, "--format", "peft", "--to", str(folder)]
    local(words, {**os.environ, "OPENAI_LOCAL_HOME": str(at.home.path)})
    said = subprocess.run(peer(python, "measure", folder.parent, str(folder)), stdout=subprocess.PIPE, check=True)
    return measures(json.loads(said.stdout))


def peer(python: Path, program: str, folder: Path, *words: str) -> list[str]:
    """The command that runs a peer's program."""
    return [
        str(python),
        str(PEERS / f"{program}.py"),
        str(SMOLLM2.at(default_cache()).weights),
        str(folder),
        *words,
    ]


def measures(found: dict[str, Any]) -> Model:
    """What `peers/measure.py` found."""
    exact, loss, reworded, reworded_loss = (
        found[name][what] for name in ("training", "reworded") for what in ("exact", "loss")
    )
    return Model(exact, loss, reworded, reworded_loss, found["general"]["loss"])


def watched(command: list[str]) -> Iterator[tuple[float, dict[str, Any]]]:
    """The lines of JSON that a peer prints, each with the seconds since its start."""
    begun = time.time()
    # As ours: else every other program on the machine would make the peer many times slower (see `runners`).
    environment = {**os.environ, "GOMP_SPINCOUNT": "3000", "TQDM_DISABLE": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith('{"'):  # the trainer prints a Python dict too
                tell(line.strip())
                yield time.time() - begun, json.loads(line)
    if process.returncode:
        raise SystemExit("the peer failed; what it said stands above")


def faster(python: Path, folder: Path) -> tuple[str, dict[str, float]]:
    """The precision in which TRL's steps are faster here, and the seconds for a step in each.

    bfloat16 is tried only where products in it are faster than in float32. Elsewhere a step takes minutes.
    """
    rates = [product_rate(dtype, torch.device("cpu"), size=256) for dtype in (torch.float32, torch.bfloat16)]
    took: dict[str, list[float]] = {"fp32": []}
    if rates[1] > rates[0]:
        took["bf16"] = []
    for _ in range(2):
        for precision, seconds in took.items():
            *_, (_, last) = watched(peer(python, "trl_lora", folder, precision, "--steps", str(TRIED)))
            seconds.append(last["seconds"] / last["step"])
    middle = {precision: statistics.median(seconds) for precision, seconds in took.items()}
    return min(middle, key=lambda precision: middle[precision]), middle


def trl(python: Path, folder: Path, precision: str) -> Result:
    """Train with TRL until it knows enough, or for `EPOCHS`."""
    first = start = 0.0
    for at, facts in watched(peer(python, "trl_lora", folder, precision, str(EPOCHS), str(ENOUGH))):
        if facts["step"] == 1:
            first = at
        if facts["step"] == 0:
            start = at
        last = facts
    return Result(last["seconds"], first, start + last["seconds"], last["epoch"], *astuple(measures(last)))


def report(
    here: list[Result], ends: list[Model], there: Result, base: Model, precision: str, pace: dict[str, float]
) -> str:
    """The tables and what follows from them."""
    names = {
        "recall": f"**seconds to recall** ({ENOUGH} of 107)",
        "first_step": "seconds from the order to the first step",
        "whole": "seconds from the order to the end",
        "epochs": "epochs",
        "exact": "right of 107",
        "loss": "loss of these",
        "reworded": "right of 40 reworded",
        "reworded_loss": "validation loss (the 40 reworded)",
        "general": "general loss",
    }
    digits = {"epochs": 0, "exact": 0, "loss": 4, "reworded": 0, "reworded_loss": 3, "general": 2}
    rows = []
    for part in fields(Result):
        values = [getattr(result, part.name) for result in here]
        theirs, mine = getattr(there, part.name), statistics.median(values)
        ratio = f"{theirs / mine:.1f}" if part.name in ("recall", "first_step", "whole") else ""
        places = digits.get(part.name, 1)
        rows.append([names[part.name], spread(values, places), f"{theirs:,.{places}f}", ratio])
    enough = [result.exact >= ENOUGH for result in [*here, there]]
    other = [f"{seconds:.1f} s in {name}" for name, seconds in pace.items() if name != precision]
    two = other[0] if other else "products in bfloat16 are slower than in float32 here, so it was not tried"
    worse = statistics.median(result.reworded_loss for result in here) / there.reworded_loss - 1
    return "\n\n".join(
        [
            table(["", f"here (median of {len(here)})", f"TRL ({precision}, one run)", "TRL / here"], rows),
            f"Good enough: {sum(enough[:-1])} of {len(here)} runs here, and TRL {'too' if enough[-1] else 'NOT'}. "
            f"Our validation loss is {abs(worse):.0%} {'higher' if worse > 0 else 'lower'} than TRL's.",
            f"General loss: of what the base itself answers to {len(everyday.QUESTIONS)} everyday questions. "
            f"The base's own is {base.general:.2f}.",
            "At the end of our training: "
            + "; ".join(
                f"{spread([getattr(e, name) for e in ends], digits[name])} {names[name]}"
                for name in asdict(ends[0])
            )
            + ".",
            f"TRL trained in {precision}, where its step took {pace[precision]:.1f} s ({two}). "
            f"Its packages: {', '.join(PACKAGES)}.",
        ]
    )


def main() -> None:
    """Race, and print who won by how much."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    python = Path(os.environ.get("BENCHMARK_TRL") or environment_for("trl-1.16", PACKAGES))
    with tempfile.TemporaryDirectory() as folder, service() as at:
        file = lesson_file(Path(folder))
        write_tokens(Path(folder), file)
        precision, pace = faster(python, Path(folder))
        here = [ours(at, file, seed, python) for seed in range(1, runs)]
        there = trl(python, Path(folder), precision)
        here.append(ours(at, file, runs, python))
        said = subprocess.run(peer(python, "measure", Path(folder)), stdout=subprocess.PIPE, check=True)
    results, ends = [result for result, _ in here], [end for _, end in here]
    print(report(results, ends, there, measures(json.loads(said.stdout)), precision, pace))


if __name__ == "__main__":
    main()
