"""An hour of mixed use: what the service holds at rest does not grow.

Everything that people do, and what goes wrong with it, in rounds: jobs, answers from more models than stay loaded,
streams and uploads that break off, deletes, wrong keys, wrong requests. After each round everybody leaves, and the
service is looked at when it has come to rest.
"""

import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from functools import partial

import openai
import pytest

from conftest import Service, finished
from openai_local.answering.server_pool import LANES
from tally import AT_THE_END
from tiny import write_gguf
from vanishing import Wire
from vitals import Vitals, at_rest

CURVE = "mixed use: what the service holds at rest"
EVERY_SECONDS = 300
AT_ONCE = 4
FEW = 4
"""By how many handles two moments may differ: a file that is just open."""
POOL = 24
"""And threads: a pool fills up when many ask at once. A thread lost in each round would be more than that."""
GROWTH = 1.05
"""How much memory may grow from the second quarter to the last."""
MEGABYTES = 12
"""And how much it may grow in any case: an allocator gives back in larger pieces."""


class Use:
    """What people do with one service."""

    def __init__(self, service: Service, models: list[str], lines: bytes):
        self.service, self.models, self.lines = service, models, lines
        self.client = service.client()  # makes the key
        self.key = service.keys["tester"]
        self.calls, self.failed = 0, list[str]()

    def round(self, chance: random.Random) -> None:
        """Everything once, some of it at the same time."""
        acts = [self.train, self.cancel, self.converse, self.refuse, self.guess_a_key, self.keep_files]
        acts += [self.leave_a_stream, self.leave_an_answer, self.leave_an_upload]
        acts += [partial(self.ask_all_lanes, model) for model in self.models]
        chance.shuffle(acts)
        with self.connected() as self.client, ThreadPoolExecutor(AT_ONCE) as pool:
            for done in [pool.submit(act) for act in acts]:
                done.result()

    def connected(self, key: str | None = None) -> openai.OpenAI:
        """The official client; what it sends is counted, and what fails is noted."""
        http = openai.DefaultHttpxClient(event_hooks={"response": [self._note]}, trust_env=False)
        return openai.OpenAI(
            base_url=self.service.url, api_key=key or self.key, max_retries=0, timeout=60, http_client=http
        )

    def _note(self, answer) -> None:
        self.calls += 1
        if answer.status_code >= 500:
            self.failed.append(f"{answer.request.method} {answer.request.url.path}: {answer.status_code}")

    def wire(self) -> Wire:
        self.calls += 1
        return Wire(self.service, self.key)

    def upload(self) -> str:
        return self.client.files.create(file=("pairs.jsonl", self.lines), purpose="fine-tune").id

    def train(self) -> None:
        """A job to its end, followed by somebody who leaves; its model is asked and all of it deleted."""
        client = self.client
        job = client.fine_tuning.jobs.create(
            model="ada", training_file=self.upload(), hyperparameters={"n_epochs": 1}
        )
        stream = self.wire()
        stream.get(f"/v1/fine-tunes/{job.id.replace('ftjob-', 'ft-')}/events?stream=true")
        stream.until(b"data: ")
        stream.vanish()
        job = finished(client, job.id)
        assert job.status == "succeeded" and job.fine_tuned_model
        assert client.completions.create(model=job.fine_tuned_model, prompt="What is sun?", max_tokens=8).choices
        checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id))
        assert checkpoints and list(client.fine_tuning.jobs.list_events(job.id))
        for name in (job.fine_tuned_model, *(each.fine_tuned_model_checkpoint for each in checkpoints)):
            client.models.delete(name)
        for file in (job.training_file, *job.result_files):
            client.files.delete(file)

    def cancel(self) -> None:
        jobs = self.client.fine_tuning.jobs
        job = jobs.create(model="ada", training_file=self.upload(), hyperparameters={"n_epochs": 50})
        assert job.id in [each.id for each in jobs.list(limit=20).data]
        jobs.cancel(job.id)
        self.client.files.delete(job.training_file)

    def ask_all_lanes(self, model: str) -> None:
        """So many at once that all of a base model's servers are needed."""
        ask = partial(self.client.completions.create, model=model, prompt="in the thin", max_tokens=12)
        with ThreadPoolExecutor(LANES + 1) as pool:
            for answer in [pool.submit(ask) for _ in range(2 * LANES)]:
                assert answer.result().usage

    def converse(self) -> None:
        messages = [{"role": "user", "content": "What is the moon?"}]
        ask = partial(self.client.chat.completions.create, model="ada", messages=messages, max_tokens=20)
        assert ask(n=2, logprobs=True, top_logprobs=3).choices[1].logprobs
        assert list(ask(stream=True, stream_options={"include_usage": True}))[-1].usage
        assert self.client.responses.create(model="ada", input="the moon", max_output_tokens=8).output
        self.client.completions.create(model="ada", prompt="the moon", echo=True, logprobs=2, max_tokens=3)

    def leave_a_stream(self) -> None:
        for path in ("/v1/completions", "/v1/chat/completions"):
            stream = self.wire()
            stream.post(path, stream=True, **_endless(path))
            stream.until(b"data: ")
            stream.vanish()

    def leave_an_answer(self) -> None:
        for path in ("/v1/completions", "/v1/chat/completions"):
            answer = self.wire()
            answer.post(path, **_endless(path))
            time.sleep(0.1)
            answer.vanish(politely=True)

    def leave_an_upload(self) -> None:
        for size in (1000, 3_000_000):
            upload = self.wire()
            upload.upload(size, 0.5)
            upload.vanish()

    def keep_files(self) -> None:
        files = self.client.files
        content = self.lines * (3_000_000 // len(self.lines))
        file = files.create(file=("large.jsonl", content), purpose="fine-tune")
        assert files.content(file.id).content == content and files.retrieve(file.id).bytes == len(content)
        assert file.id in [each.id for each in files.list()]
        files.delete(file.id)
        assert self.client.models.list().data

    def refuse(self) -> None:
        """Requests that make no sense."""
        wrong = [
            partial(self.client.models.retrieve, "nobody"),
            partial(self.client.files.content, "file-none"),
            partial(self.client.completions.create, model="ada", prompt="x", temperature=9),
            partial(self.client.completions.create, model="ada", prompt=[1 << 30]),
            partial(self.client.fine_tuning.jobs.create, model="ada", training_file="file-none"),
            partial(self.client.files.create, file=("x.txt", b"x"), purpose="fine-tune"),
            partial(self.client.embeddings.create, model="ada", input="x"),
        ]
        for ask in wrong:
            with pytest.raises((openai.BadRequestError, openai.NotFoundError)):
                ask()

    def guess_a_key(self) -> None:
        with self.connected("sk-local-" + "x" * 43) as client, pytest.raises(openai.AuthenticationError):
            client.models.list()


def _endless(path: str) -> dict[str, object]:
    """An answer that would be long."""
    said = {"messages": [{"role": "user", "content": "x"}]} if "chat" in path else {"prompt": "the"}
    return {"model": "ada", "max_tokens": 3500, "logit_bias": {"0": -100, "2": -100}, **said}


def test_what_the_service_holds_stays_flat(new_service, pairs, tmp_path, size, tried, request):
    service = new_service()
    others = []
    for seed in range(1, size(1, 2) + 1):
        write_gguf(tmp_path / f"{seed}.gguf", seed)
        service.command("bases", "add", f"other-{seed}", str(tmp_path / f"{seed}.gguf"))
        others.append(f"other-{seed}")
    use, chance = Use(service, ["ada", *others], pairs.read_bytes()), random.Random(1648)
    use.round(chance)  # what is loaded once is loaded now
    seen = list[tuple[float, Vitals]]()
    begun = time.monotonic()
    while len(seen) < 3 or time.monotonic() - begun < size(8, 3600):
        use.round(chance)
        seen.append((time.monotonic() - begun, at_rest(service)))
    assert use.failed == []
    request.config.stash[AT_THE_END].setdefault(CURVE, []).extend(_table(seen))
    grown = _grown(seen)
    tried(f"mixed use, {size(8, 3600) // 60 or 'less than one'} minutes", f"{use.calls:,} calls", len(grown))
    assert grown == [], "\n".join(_table(seen))


def _grown(seen: list[tuple[float, Vitals]]) -> list[str]:
    """What is more in the last quarter than in the second one: sentences."""
    quarter = max(1, len(seen) // 4)
    early, late = (_middle(part) for part in (seen[quarter : 2 * quarter], seen[-quarter:]))
    allowed = {"handles": FEW, "threads": POOL, "children": 0, "leftovers": 0}
    allowed["megabytes"] = max(MEGABYTES, early["megabytes"] * (GROWTH - 1))
    return [
        f"{name}: {early[name]:.0f}, later {late[name]:.0f}"
        for name, most in allowed.items()
        if late[name] - early[name] > most
    ]


def _middle(part: list[tuple[float, Vitals]]) -> dict[str, float]:
    """The medians of some moments."""
    columns = zip(*(astuple(vitals) for _, vitals in part), strict=True)
    return dict(zip(Vitals.names(), map(statistics.median, columns), strict=True))


def _table(seen: list[tuple[float, Vitals]]) -> list[str]:
    """The medians of every five minutes, as a table."""
    spans: dict[int, list[tuple[float, Vitals]]] = {}
    for at, vitals in seen:
        spans.setdefault(int(at // EVERY_SECONDS), []).append((at, vitals))
    names = Vitals.names()
    rows = [f"| minutes | rounds | {' | '.join(names)} |", "|---:" * (len(names) + 2) + "|"]
    for number, part in spans.items():
        middle = _middle(part)
        minutes = f"{number * EVERY_SECONDS // 60} to {(number + 1) * EVERY_SECONDS // 60}"
        rows.append(f"| {minutes} | {len(part)} | {' | '.join(f'{middle[name]:.0f}' for name in names)} |")
    return rows
