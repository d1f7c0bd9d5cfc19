"""The training jobs as a table: what ``%jobs`` shows."""

from __future__ import annotations

import html
import time
from dataclasses import dataclass
from itertools import islice

import openai

from openai_figures import visible
from openai_lesson.watching import ENDED

_TITLES = ("job", "created", "status", "model", "what comes of it")
_LEFT = 'style="text-align: left"'
Row = tuple[str, ...]


@dataclass(frozen=True)
class Queue:
    """Jobs, the newest first: a table in a notebook, lines elsewhere."""

    rows: list[Row]

    def __repr__(self) -> str:
        """One line per job."""
        if not self.rows:
            return "There is no training job yet."
        table = [_TITLES, *(tuple(map(visible.line, row)) for row in self.rows)]
        widths = [max(len(row[i]) for row in table) for i in range(len(_TITLES))]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table)

    def _repr_html_(self) -> str | None:
        if not self.rows:
            return None
        head = "".join(f"<th {_LEFT}>{title}</th>" for title in _TITLES)
        body = ("".join(f"<td {_LEFT}>{html.escape(cell)}</td>" for cell in row) for row in self.rows)
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in body)}</table>"


def jobs(number: int) -> Queue:
    """The last jobs of the host that a client reaches.

    Args:
        number: how many.
    """
    client = openai.OpenAI()
    return Queue([_row(job) for job in islice(client.fine_tuning.jobs.list(limit=min(number, 100)), number)])


def _row(job: openai.types.fine_tuning.FineTuningJob) -> Row:
    created = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.created_at))
    return (job.id, created, job.status, job.model, job.fine_tuned_model or _prospect(job))


def _prospect(job: openai.types.fine_tuning.FineTuningJob) -> str:
    if job.error and job.error.message:
        return job.error.message
    if job.status in ENDED or job.estimated_finish is None:
        return ""
    return f"ready in about {max(0, round(job.estimated_finish - time.time()))} s"
