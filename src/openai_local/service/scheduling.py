"""Whose turn it is: learners take turns, one job each before anyone's second.

Next is always the learner whose last job was started longest ago, or never, with their oldest job. An instructor
may put a job before or behind all others.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Waiting:
    """A job that waits.

    Attributes:
        id: its id.
        owner: whose it is.
        seconds: how long it will probably take; None if nobody knows.
        rank: below zero before all others, above zero behind them; the lower, the sooner.
    """

    id: str
    owner: str
    seconds: float | None = None
    rank: int = 0


@dataclass(frozen=True)
class Place:
    """How many jobs are before one, running ones too, and in how many seconds it will probably start."""

    ahead: int
    starts_in: float | None


def in_order(jobs: Iterable[Waiting], last_turns: Mapping[str, int]) -> list[Waiting]:
    """The order in which jobs will be started if nobody comes in between.

    Args:
        jobs: those that wait, oldest first.
        last_turns: for each learner the number of their last turn; turns are numbered from 1.
    """
    given = list(jobs)
    first = sorted((job for job in given if job.rank < 0), key=lambda job: job.rank)
    last = sorted((job for job in given if job.rank > 0), key=lambda job: job.rank)
    theirs: dict[str, deque[tuple[int, Waiting]]] = defaultdict(deque)
    for number, job in enumerate(given):
        if job.rank == 0:
            theirs[job.owner].append((number, job))
    turn = max(last_turns.values(), default=0)
    turns = dict(last_turns)
    for job in first:
        turn += 1
        turns[job.owner] = turn
    heap = [(turns.get(owner, 0), jobs[0][0], owner) for owner, jobs in theirs.items()]
    heapq.heapify(heap)
    fair = []
    while heap:
        _, _, owner = heapq.heappop(heap)
        fair.append(theirs[owner].popleft()[1])
        turn += 1
        if theirs[owner]:
            heapq.heappush(heap, (turn, theirs[owner][0][0], owner))
    return [*first, *fair, *last]


def places(queue: list[Waiting], running: list[float | None], at_once: int) -> dict[str, Place]:
    """Where each job stands, by its id.

    Args:
        queue: in the order in which they will be started.
        running: for each job that runs, the seconds that it will still take; None if nobody knows.
        at_once: how many may run at the same time.
    """
    free = min(max(0, at_once - len(running)), len(queue))
    ends: list[float | None] = [*[0.0] * free, *running]
    found = {}
    for number, job in enumerate(queue):
        ahead, starts = len(running) + number, _earliest(ends)
        found[job.id] = Place(ahead, starts)
        if starts is not None:
            ends.remove(starts)
        ends.append(None if starts is None or job.seconds is None else starts + job.seconds)
    return found


def _earliest(ends: list[float | None]) -> float | None:
    """When the next place is free. If nobody knows of one of them, nobody knows."""
    known = [end for end in ends if end is not None]
    if 0.0 in known:
        return 0.0
    return min(known) if known and len(known) == len(ends) else None
