"""What benchmarks of answers share: a fine-tune and copies of it, llama.cpp's own server, and a question asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import openai
from openai.types import Model

from machine import tell
from openai_lesson import catechism
from openai_local.home import default_cache
from openai_local.models.base_models import Bases
from openai_local.service.job_records import Records
from openai_local.service.store import Store
from service import Service

EXAMPLES = 16
END = {"0": -100, "2": -100}
"""The tokens that end an answer: forbidden, so that all answers have the same length."""


@dataclass(frozen=True)
class FineTune:
    """A fine-tuned model: its name, its adapter, and the file of its base model."""

    name: str
    adapter: Path
    gguf: Path


@dataclass(frozen=True)
class Asked:
    """One answer: its text and tokens, and how many seconds its first token and the whole of it took."""

    text: str
    tokens: int
    first: float
    whole: float


def questions() -> list[str]:
    """The lesson's questions."""
    return [*catechism.load().prompt]


def fine_tune(service: Service) -> FineTune:
    """Train on a few questions, once through. What the model learns is no matter here, only what it is made of."""
    tell(f"training with {EXAMPLES} questions")
    table, client = catechism.load().head(EXAMPLES), service.client
    lines = [
        json.dumps({"prompt": prompt, "completion": f" {completion}"})
        for prompt, completion in zip(questions(), table.completion, strict=False)
    ]
    file = client.files.create(file=("questions.jsonl", "\n".join(lines).encode()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=file.id, model="ada", hyperparameters={"n_epochs": 1})
    while (job := client.fine_tuning.jobs.retrieve(job.id)).status not in ("succeeded", "failed"):
        time.sleep(0.2)
    if not job.fine_tuned_model:
        raise SystemExit(f"Training failed: {job.error}")
    store = Store(service.home.database)
    adapter = Records(store, service.home).adapter(store.private(Model, job.fine_tuned_model))
    store.close()
    return FineTune(job.fine_tuned_model, adapter, Bases(service.home, default_cache()).require("ada").gguf)


def copies(service: Service, model: FineTune, count: int) -> list[str]:
    """So many more fine-tunes, each with a file of its own. They say the same, which llama.cpp can't know."""
    store, names = Store(service.home.database), []
    private, owner = store.private(Model, model.name), store.owner(Model, model.name) or ""
    for number in range(count):
        file = model.adapter.with_name(f"copy-{number}.gguf")
        shutil.copyfile(model.adapter, file)
        names.append(f"{model.name}-{number}")
        item = Model(id=names[-1], object="model", created=int(time.time()), owned_by=owner)
        store.add(item, owner, **{**private, "adapter": file.name})
    store.close()
    return names


@contextmanager
def llama_servers(model: FineTune, slots: int) -> Iterator[dict[str, openai.OpenAI]]:
    """Clients of llama.cpp's own server, in a process of its own, with the same files.

    Two by what they are: one with one thread, one with as many as there are cores, which is the server's default.
    """
    program = Path(__file__).parent / "peers" / "llama_server.py"
    with ExitStack() as processes:
        clients = {}
        for threads in sorted({1, cores()}):
            words = [str(model.gguf), str(model.adapter), str(slots), str(threads)]
            process = subprocess.Popen(
                [sys.executable, str(program), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            processes.enter_context(process)  # closes its input, and then it ends
            assert process.stdout
            if not (address := process.stdout.readline().strip()):
                raise SystemExit("llama.cpp's own server did not start")
            name = f"llama.cpp's server, {threads} thread{'s' if threads > 1 else ''}"
            clients[name] = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
        yield clients


def ask(client: openai.OpenAI, model: str, prompt: str, tokens: int) -> Asked:
    """Ask for the likeliest answer of so many tokens, streamed."""
    begun, first, text, count = time.perf_counter(), 0.0, "", 0
    anew = None if "local" in client.api_key else {"cache_prompt": False}  # as the service does where it matters
    for chunk in client.completions.create(
        model=model,
        prompt=prompt,
        max_tokens=tokens,
        temperature=0,
        logit_bias=END,
        stream=True,
        stream_options={"include_usage": True},
        extra_body=anew,
    ):
        said = "".join(choice.text for choice in chunk.choices)
        first = first or (time.perf_counter() - begun if said else 0.0)
        text += said
        count = chunk.usage.completion_tokens if chunk.usage else count
    return Asked(text, count, first, time.perf_counter() - begun)


def cores() -> int:
    """How many cores there are, or how many the user allows."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
