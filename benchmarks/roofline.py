"""Training's arithmetic next to what the machine can do, and where the rest of the time goes.

    .venv/bin/python benchmarks/roofline.py [TURNS]

A job with the lesson's data and the defaults trains for EPOCHS in a process as the service starts it, TURNS times
(two if nothing is said). In turn with it the machine's rate in matrix products is measured, in the same precision:
of large square ones, with all threads, and of those that training mostly does, a share of a batch times the
weights of a gated network, each thread its own.

What training needs, in floating-point operations (an addition and a multiplication are two), is what Kaplan et al.
(2020, "Scaling Laws for Neural Language Models", table 1) count, restricted to what LoRA has to do. For a token in
a layer with N weights in its linear parts, with heads of d numbers together, in an example of t tokens:

- forward 2·N, and backward to the input 2·N; the weights are frozen, so their own gradient is not needed;
- LoRA's numbers: 2 forward and 4 backward for each of B, and 2 and 2 for each of A, which does not learn;
- attention, which looks back over t / 2 tokens: 2·t·d forward, and twice that backward;
- but the lowest layer that learns has nobody below, so no backward part of q, k and v; and of the last one, what
  follows q, k and v is needed only where a token counts;
- in a layer that does not learn only what is forward, once in a job, as the results are kept;
- for a token that counts, the head with V words: 2·V·width. Its backward half is done for few words only, and is
  not counted. Nor is the optimizer.

Where the time goes is asked of PyTorch's profiler in this process, in an epoch after the first. It slows the small
operations down more than the large ones.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from machine import product_rate, spread, table, tell, timed
from openai_local.home import default_cache
from openai_local.models.base_models import SMOLLM2
from openai_local.training import general_text
from openai_local.training.dataset import read
from openai_local.training.job_folder import EXAMPLE_TOKENS, Journal, Paused, settle
from openai_local.training.loop import Data, Loop
from openai_local.training.lora import LoraModel, choose_device, choose_dtype
from openai_local.training.tokenisation import Encoder, Example
from steps import Steps, apart, lesson_file

EPOCHS, PROFILED = 3, 8
KINDS = {
    "matrix products": ("mm", "addmm", "addmm_", "bmm", "baddbmm", "baddbmm_", "linear", "matmul"),
    "attention": ("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"),
    "softmax": ("softmax", "_softmax"),
}
"""Which of PyTorch's operations belong together; a backward one is told by its name's beginning."""


@dataclass(frozen=True)
class Needs:
    """Floating-point operations of one epoch, and in it of the layers that do not learn, if they have to run."""

    later: float
    frozen: float


def needs(model: LoraModel, examples: list[Example]) -> Needs:
    """What the formula above makes of a model and its data."""
    config = model.llama.config
    width, heads, kv = config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"]
    d, kv_width = heads * config["head_dim"], kv * config["head_dim"]
    qkv, others = width * (d + 2 * kv_width), width * (d + 3 * config["intermediate_size"])
    n = qkv + others
    tokens = sum(len(example.tokens) for example in examples)
    forward = 2 * n * tokens + 2 * d * sum(len(example.tokens) ** 2 for example in examples)
    backward = forward + 2 * d * sum(len(example.tokens) ** 2 for example in examples)
    lora = 6 * tokens * sum(parameter.numel() for parameter in model.parameters)
    lora += 4 * tokens * sum(one.a.numel() for one in model.directions)
    answers = sum(example.n_targets for example in examples)
    head = 2 * config["vocab_size"] * width * answers
    spared = 2 * qkv * tokens + 4 * others * (tokens - answers)
    learning = len({layer for layer, _ in model.factors()})
    frozen = config["num_hidden_layers"] - learning
    return Needs(learning * (forward + backward) - spared + lora + head, frozen * forward)


class Profiled(Journal):
    """A journal that has some steps of the second epoch profiled, and then ends training."""

    def begin(self, first: int) -> None:
        """Start after the step `first`."""
        self.first = first
        every = torch._C._profiler._ExperimentalConfig(
            profile_all_threads=True
        )  # the threads of data_parallel too
        self.profile = profile(activities=[ProfilerActivity.CPU], experimental_config=every)

    def tell(self, kind: str, **fields: Any) -> None:
        """A row means that a step is done."""
        super().tell(kind, **fields)
        if kind != "row":
            return
        if fields["step"] == self.first:
            self.profile.start()
            self.begun = time.perf_counter()
        elif fields["step"] == self.first + PROFILED:
            self.took = time.perf_counter() - self.begun
            self.profile.stop()
            self.request_pause()


def build(folder: Path) -> Loop:
    """The loop of a job with the lesson's data."""
    weights, device = SMOLLM2.at(default_cache()).weights, choose_device()
    encoder = Encoder(weights)
    examples = [encoder.encode(record, EXAMPLE_TOKENS) for record in read(lesson_file(folder))]
    model = LoraModel(weights, device=device, dtype=choose_dtype(device))
    general = general_text.of(weights, model.llama, encoder)
    chosen = settle("auto", "auto", "auto", len(examples))
    return Loop(Profiled(folder), model, Data(examples, [], 0.0, None), general, chosen, 1648)


def small_rate(loop: Loop, seconds: float = 1.0) -> float:
    """Operations per second in products of training's sizes, all workers at it at once."""
    config, dtype = loop.model.llama.config, loop.model.llama.embedding.dtype
    width, inner = config["hidden_size"], 2 * config["intermediate_size"]
    weight = torch.randn(inner, width).to(loop.model.device, dtype)
    end = time.perf_counter() + seconds

    def multiply(share: list[Example]) -> float:
        x = torch.randn(sum(len(example.tokens) for example in share), width).to(loop.model.device, dtype)
        done = 0
        while time.perf_counter() < end:
            x @ weight.T
            done += 1
        return 2.0 * len(x) * width * inner * done

    batch = loop.data.training[: loop.chosen.batch_size]
    took, operations = timed(lambda: loop.parallel.map(multiply, batch))
    return sum(operations) / took


def where(loop: Loop) -> dict[str, float]:
    """The share of each kind of operation in the time of all workers, over some steps."""
    journal, step = loop.journal, loop.optimizer.step
    assert isinstance(journal, Profiled)

    def named(*arguments: Any) -> None:
        with record_function("optimizer"):
            step(*arguments)

    loop.optimizer.step = named  # type: ignore[method-assign, assignment]
    journal.begin(loop.epoch_steps + 1)
    with contextlib.suppress(Paused):
        loop.run()
    found: dict[str, float] = defaultdict(float)
    for event in journal.profile.events() or []:
        found[kind(event)] += event.self_cpu_time_total / 1e6
    found["optimizer"] *= loop.parallel.size  # it has all threads, and only the first one is seen
    rest = journal.took * loop.parallel.size - sum(found.values())
    found["waiting, and Python"] = max(rest, 0.0)
    most = sorted(found.items(), key=lambda item: -item[1])
    return {name: seconds / sum(found.values()) for name, seconds in most}


def kind(event: Any) -> str:
    """What an operation is counted as."""
    above = event
    while above is not None:
        if above.name == "optimizer":
            return "optimizer"
        above = above.cpu_parent
    name = event.name.removeprefix("aten::").removesuffix("_backward")
    return next((title for title, names in KINDS.items() if name in names), "everything else")


def paces(seen: Steps) -> tuple[float, float]:
    """Seconds of an epoch that sees the examples first (without loading the model), and of a later one."""
    epoch = seen.epoch_steps
    first = seen.pace(1, epoch) * seen.tokens[epoch - 1] / 1000
    return first, (seen.ended[-1] - seen.ended[epoch - 1]) / (len(seen.ended) / epoch - 1)


def report(loop: Loop, runs: list[Steps], large: list[float], small: list[float], shares: dict[str, float]) -> str:
    """The tables."""
    needed, tokens = needs(loop.model, loop.data.training), runs[0].tokens[runs[0].epoch_steps - 1]
    rows = []
    pairs = zip(*map(paces, runs), strict=True)
    for name, work, times in zip(
        ("first", "later"), (needed.later + needed.frozen, needed.later), pairs, strict=True
    ):
        rate = work / statistics.median(times)
        shared = [f"{rate / statistics.median(rates):.0%}" for rates in (large, small)]
        cells = [
            f"{work / 1e9:,.0f}",
            spread(times),
            f"{tokens / statistics.median(times):,.0f}",
            f"{rate / 1e9:,.0f}",
        ]
        rows.append([name, *cells, *shared])
    headings = ["epoch", "needs, GFLOP", "seconds", "tokens/s", "GFLOP/s", "of large products", "of its own sizes"]
    rates = [spread([rate / 1e9 for rate in values], 0) for values in (large, small)]
    precision = str(loop.model.llama.embedding.dtype).removeprefix("torch.")
    return "\n\n".join(
        [
            table(headings, rows),
            f"The machine's rate in {precision} with {torch.get_num_threads()} threads: {rates[0]} GFLOP/s "
            f"in products of 1,024 by 1,024, and {rates[1]} GFLOP/s in products of "
            "training's sizes, measured in turn with it.",
            table(
                ["where a later epoch's time goes", "share"], [[n, f"{share:.0%}"] for n, share in shares.items()]
            ),
        ]
    )


def main() -> None:
    """Measure, and print the tables."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with tempfile.TemporaryDirectory() as folder:
        loop = build(Path(folder))
        device, dtype = loop.model.device, loop.model.llama.embedding.dtype
        large, small, runs = list[float](), list[float](), list[Steps]()
        for turn in range(turns + 1):
            large.append(product_rate(dtype, device))
            small.append(small_rate(loop))
            if turn < turns:
                tell(f"turn {turn + 1}: {EPOCHS} epochs")
                runs.append(apart(lesson_file(Path(folder)), 10_000, n_epochs=EPOCHS))
        tell("once more with the profiler")
        shares = where(loop)
    print(report(loop, runs, large, small, shares))


if __name__ == "__main__":
    main()
