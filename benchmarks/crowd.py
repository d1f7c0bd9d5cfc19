"""Many clients at once with mixed calls, in one process: what each was promised, and how long each call took.

    .venv/bin/python benchmarks/crowd.py URL SECONDS PAUSE

A key for each client comes on standard input, one a line. Each client uploads, reads, lists, trains, asks and
deletes in the order of chance, with pauses of `PAUSE` seconds on average, through the official client. At the end
`Seen` is printed as JSON, one object a line for each client. `tests/torture/test_two_hundred_clients.py` calls it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import openai

LARGE = 2_000_000
"""The bytes of a large upload."""
PATIENCE = 60.0
"""Seconds until a call counts as failed."""
LAG = "the clients' own loop"
"""The kind under which it is noted by how many seconds this process was late itself."""
Result = TypeVar("Result")


@dataclass
class Seen:
    """What one client saw.

    Attributes:
        seconds: how long each call took, by its kind. Those that got 429 don't count.
        refused: how often it was told to come again later, with 429.
        errors: all else that went wrong.
        files: the SHA-256 of each file that was taken and not deleted, by its id.
        deleted: the ids of the files that were.
        jobs: the jobs that were taken; True for those that were cancelled.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: int = 0
    errors: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    jobs: dict[str, bool] = field(default_factory=dict)


class Client:
    """One of the crowd."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        """`client` has the key, which also decides what chance brings."""
        self.seen, self._client, self._chance = Seen(), client, random.Random(client.api_key)
        self._acts: dict[Callable[[], Awaitable[None]], int] = {
            self.upload: 20,
            self.upload_large: 1,
            self.retrieve_file: 12,
            self.list_files: 10,
            self.content: 10,
            self.delete_file: 8,
            self.create_job: 2,
            self.retrieve_job: 8,
            self.list_jobs: 4,
            self.events: 8,
            self.cancel: 1,
            self.complete: 8,
            self.chat: 4,
            self.stream: 4,
            self.models: 6,
        }

    async def use(self, seconds: float, pause: float) -> None:
        """Call for so long, with pauses."""
        end = time.monotonic() + seconds
        await self.upload()
        while time.monotonic() < end:
            await asyncio.sleep(self._chance.uniform(0, 2 * pause))
            [act] = self._chance.choices([*self._acts], [*self._acts.values()])
            try:
                await act()
            except openai.OpenAIError as error:
                self.seen.errors.append(f"{act.__name__}: {type(error).__name__}: {error}"[:300])

    async def _call(self, kind: str, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Call until the answer is not 429; notes how long the answer took."""
        while True:
            begun = time.monotonic()
            try:
                answer = await ask()
            except openai.RateLimitError as error:
                self.seen.refused += 1
                await asyncio.sleep(float(error.response.headers["retry-after"]))
                continue
            self.seen.seconds[kind].append(time.monotonic() - begun)
            return answer

    async def upload(self) -> None:
        """A small training file."""
        await self._upload("upload a file", self._chance.randint(5, 200))

    async def upload_large(self) -> None:
        """A large one."""
        await self._upload("upload a large file", LARGE // 100)

    async def _upload(self, kind: str, lines: int) -> None:
        pair = {
            "prompt": f"Which number is it? {self._chance.random()}",
            "completion": f" {self._chance.random()}",
        }
        content = (json.dumps(pair) + "\n").encode() * lines
        files = self._client.files
        file = await self._call(kind, lambda: files.create(file=("pairs.jsonl", content), purpose="fine-tune"))
        self.seen.files[file.id] = hashlib.sha256(content).hexdigest()

    async def retrieve_file(self) -> None:
        """One file's description."""
        if id_ := self._one(self.seen.files):
            file = await self._call("retrieve a file", lambda: self._client.files.retrieve(id_))
            self._expect(file.id == id_, f"{id_} is another file")

    async def list_files(self) -> None:
        """All files: no more and no fewer than there should be."""
        listed = await self._call("list files", self._list_files)
        uploaded = {file.id for file in listed.data if file.purpose == "fine-tune"}
        self._expect(uploaded == self.seen.files.keys(), "other files are listed")

    async def _list_files(self) -> Any:
        return await self._client.files.list()

    async def content(self) -> None:
        """A file's bytes."""
        if id_ := self._one(self.seen.files):
            answer = await self._call("download a file", lambda: self._client.files.content(id_))
            same = hashlib.sha256(answer.content).hexdigest() == self.seen.files[id_]
            self._expect(same, f"{id_} came back with other bytes")

    async def delete_file(self) -> None:
        """A file that no job may need."""
        if len(self.seen.files) > 1 and (id_ := self._one([*self.seen.files][1:])):
            await self._call("delete a file", lambda: self._client.files.delete(id_))
            del self.seen.files[id_]
            self.seen.deleted.append(id_)

    async def create_job(self) -> None:
        """A job with the first file, which stays."""
        jobs, file = self._client.fine_tuning.jobs, next(iter(self.seen.files))
        options: Any = {"n_epochs": 1}
        job = await self._call(
            "create a job", lambda: jobs.create(model="ada", training_file=file, hyperparameters=options)
        )
        self.seen.jobs[job.id] = False

    async def retrieve_job(self) -> None:
        """One job as it is now."""
        if id_ := self._one(self.seen.jobs):
            await self._call("look at a job", lambda: self._client.fine_tuning.jobs.retrieve(id_))

    async def list_jobs(self) -> None:
        """The newest jobs."""
        listed = await self._call("list jobs", self._list_jobs)
        self._expect({job.id for job in listed.data} <= self.seen.jobs.keys(), "other jobs are listed")

    async def _list_jobs(self) -> Any:
        return await self._client.fine_tuning.jobs.list(limit=20)

    async def events(self) -> None:
        """What happened in a job."""
        if id_ := self._one(self.seen.jobs):
            await self._call("list its events", lambda: self._events(id_))

    async def _events(self, job: str) -> Any:
        return await self._client.fine_tuning.jobs.list_events(job, limit=100)

    async def cancel(self) -> None:
        """End a job, if it is not over by then."""
        if id_ := self._one([job for job, cancelled in self.seen.jobs.items() if not cancelled]):
            try:
                await self._call("cancel a job", lambda: self._client.fine_tuning.jobs.cancel(id_))
            except openai.BadRequestError:
                return  # it was over
            self.seen.jobs[id_] = True

    async def complete(self) -> None:
        """A short answer."""
        ask = self._client.completions.create
        await self._call("ask", lambda: ask(model="ada", prompt="What is the moon?", max_tokens=8))

    async def chat(self) -> None:
        """A short answer in a conversation."""
        ask, said = self._client.chat.completions.create, "What is the sun?"
        messages: Any = [{"role": "user", "content": said}]
        await self._call("chat", lambda: ask(model="ada", messages=messages, max_tokens=8))

    async def stream(self) -> None:
        """A streamed answer."""
        await self._call("stream", self._stream)

    async def _stream(self) -> None:
        ask = self._client.completions.create
        async for _ in await ask(model="ada", prompt="What is the wind?", max_tokens=24, stream=True):
            pass

    async def models(self) -> None:
        """All models."""
        await self._call("list models", self._models)

    async def _models(self) -> Any:
        return await self._client.models.list()

    def _one(self, ids: Sequence[str] | dict[str, Any]) -> str | None:
        return self._chance.choice([*ids]) if ids else None

    def _expect(self, well: bool, problem: str) -> None:
        if not well:
            self.seen.errors.append(problem)


async def crowd(url: str, keys: Sequence[str], seconds: float, pause: float) -> list[Seen]:
    """So many clients at once as there are keys. All connect in the same moment."""
    limits = openai.DEFAULT_CONNECTION_LIMITS
    async with openai.DefaultAsyncHttpxClient(limits=limits, trust_env=False) as http:
        plain = openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http, max_retries=0, timeout=PATIENCE)
        clients = [Client(plain.with_options(api_key=key)) for key in keys]
        watching = asyncio.ensure_future(_watch(clients[0].seen.seconds[LAG]))
        await asyncio.gather(*(client.use(seconds, pause) for client in clients))
        watching.cancel()
    return [client.seen for client in clients]


async def _watch(lags: list[float]) -> None:
    """Note by how many seconds this process is late: so much of each call's time is its own."""
    while True:
        begun = time.monotonic()
        await asyncio.sleep(0.05)
        lags.append(time.monotonic() - begun - 0.05)


def main() -> None:
    """Call, and print what was seen."""
    url, seconds, pause = sys.argv[1:]
    for seen in asyncio.run(crowd(url, sys.stdin.read().split(), float(seconds), float(pause))):
        print(json.dumps(vars(seen)))


if __name__ == "__main__":
    main()
