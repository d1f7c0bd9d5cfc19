"""Many who follow one job, in one light process: as the notebooks' helper does, or with the streams of 2022.

    .venv/bin/python benchmarks/followers.py helper|stream URL JOB

A key for each follower comes on standard input, one a line. Ends when the job is over, and prints `Followed` as
JSON. `benchmarks/learners.py` calls it like that.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import httpx2

PAUSE = 1.0
"""Seconds between two looks of the helper, unless the service asks for more."""


@dataclass
class Followed:
    """What the followers saw.

    Attributes:
        followers: how many there were.
        requests: how many they sent; a stream is one.
        slowest: how long the slowest took, in seconds; streams don't count.
        events: how many events there were.
        told_all: how many followers were told of all of them, once and in the same order.
    """

    followers: int = 0
    requests: int = 0
    slowest: float = 0.0
    events: int = 0
    told_all: int = 0


class Followers:
    """Those who follow one job. They share a client, which has a connection for each."""

    def __init__(self, client: httpx2.AsyncClient, job: str) -> None:
        """`client` knows the service's base URL."""
        self.followed, self._client, self._job = Followed(), client, job

    async def helper(self, key: str) -> list[str]:
        """Look again and again, as often as the service allows. Returns the ids of the events, oldest first."""
        path, told = f"fine_tuning/jobs/{self._job}", list[str]()
        while True:
            answer = await self._get(path, key)
            limit = 20 if told else 100
            told += (await self._news(f"{path}/events?limit={limit}", key, told))[::-1]
            if answer.json()["status"] in ("succeeded", "failed", "cancelled"):
                return told
            await asyncio.sleep(max(PAUSE, int(answer.headers.get("openai-poll-after-ms", 0)) / 1000))

    async def stream(self, key: str) -> list[str]:
        """Read one stream from the job's start to its end. Returns its events as they came."""
        path = f"fine-tunes/{self._job.replace('ftjob-', 'ft-')}/events?stream=true"
        self.followed.requests += 1
        async with self._client.stream("GET", path, headers=_headers(key)) as answer:
            answer.raise_for_status()
            lines = [line async for line in answer.aiter_lines() if line]
        return lines if lines.pop() == "data: [DONE]" else []

    async def _news(self, path: str, key: str, known: list[str]) -> list[str]:
        """The ids of the events that are not known, newest first."""
        new, after, seen = list[str](), "", set(known[-100:])
        while True:
            page = (await self._get(path + after, key)).json()
            for event in page["data"]:
                if event["id"] in seen:
                    return new
                new.append(event["id"])
            if not page["has_more"]:
                return new
            after = f"&after={new[-1]}"

    async def _get(self, path: str, key: str) -> httpx2.Response:
        begun = time.monotonic()
        answer = await self._client.get(path, headers=_headers(key))
        answer.raise_for_status()
        self.followed.requests += 1
        self.followed.slowest = max(self.followed.slowest, time.monotonic() - begun)
        return answer


def _headers(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def follow(way: str, url: str, job: str, keys: Sequence[str]) -> Followed:
    """Follow a job with all keys at once."""
    limits = httpx2.Limits(max_connections=len(keys), max_keepalive_connections=len(keys))
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60, limits=limits) as client:
        followers = Followers(client, job)
        act = {"helper": followers.helper, "stream": followers.stream}[way]
        told = await asyncio.gather(*map(act, keys))
    longest = max(told, key=len)
    followers.followed.followers, followers.followed.events = len(told), len(longest)
    followers.followed.told_all = sum(each == longest for each in told)
    return followers.followed


def main() -> None:
    """Follow, and print what was seen."""
    way, url, job = sys.argv[1:]
    keys = sys.stdin.read().split()
    print(json.dumps(asdict(asyncio.run(follow(way, url, job, keys)))))


if __name__ == "__main__":
    main()
