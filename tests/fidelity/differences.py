"""Where the service answers otherwise than a source says, on purpose: each with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One allowed difference. `where`, `path` and `problem` are regular expressions for the start of a text."""

    source: str
    where: str
    path: str
    problem: str
    reason: str

    def allows(self, source: str, where: str, path: str, problem: str) -> bool:
        """Whether this is the difference."""
        return self.source == source and all(
            re.match(pattern, text)
            for pattern, text in ((self.where, where), (self.path, path), (self.problem, problem))
        )


DIFFERENCES = [
    Difference(
        "client",
        "GET /v1/(files|fine_tuning/jobs.*) answer",
        r"\.(object|first_id|last_id)$",
        "is not documented",
        "The client's page types name only what paging needs; OpenAI's description has these fields.",
    ),
    Difference(
        "client",
        "POST /v1/completions chunk",
        r"\.choices\[\]\.finish_reason$",
        "is None",
        "A piece of a streamed completion has no reason to finish yet; OpenAI sends null there as well.",
    ),
    Difference(
        "description",
        "POST /v1/completions chunk",
        r"\.choices\[\]\.finish_reason$",
        "is None",
        "A piece of a streamed completion has no reason to finish yet; OpenAI sends null there as well.",
    ),
    Difference(
        "description",
        "POST /v1/completions chunk",
        r"\.usage$",
        "is None",
        "With include_usage, all pieces but the last carry null: the description says so in words only.",
    ),
    Difference(
        "description",
        "GET /v1/files answer",
        r"\.(first_id|last_id)$",
        "is None",
        "An empty list has no first and no last file. The description of checkpoints allows null there.",
    ),
    Difference(
        "description",
        "GET /v1/fine_tuning/jobs/{id}/events answer",
        r"\.data\[\]\.data$",
        "is None",
        "A message has no data. OpenAI's own example shows null there.",
    ),
]
