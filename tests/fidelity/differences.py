"""Where the service answers otherwise than a source says, on purpose: each with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One allowed difference. `where`, `path` and `problem` are regular expressions for the start of a text."""

    sources: str
    where: str
    path: str
    problem: str
    reason: str

    def allows(self, source: str, where: str, path: str, problem: str) -> bool:
        """Whether this is the difference."""
        return source in self.sources and all(
            re.match(pattern, text)
            for pattern, text in ((self.where, where), (self.path, path), (self.problem, problem))
        )


CLIENT, DESCRIPTION, BOTH = "client", "description", "client, description"
DIFFERENCES = [
    Difference(
        BOTH,
        "(GET|POST) /v1/fine_tuning/jobs",
        r"(\.data\[\])?\.status$",
        "is 'paused'",
        "OpenAI answers a pause with this status, though its list of statuses lacks it.",
    ),
    Difference(
        BOTH,
        "POST /v1/completions answer",
        r"\.choices\[\]\.logprobs\.(token|top)_logprobs\[\]$",
        "is None",
        "With echo, the first token follows nothing and so has no probability; OpenAI sends null there too.",
    ),
    Difference(
        BOTH,
        "POST /v1/(engines/{id}/)?completions chunk",
        r"\.choices\[\]\.finish_reason$",
        "is None",
        "A piece of a streamed completion has no reason to finish yet; OpenAI sends null there as well.",
    ),
    Difference(
        DESCRIPTION,
        "(GET|POST) /v1/fine-tunes",
        r"(\.data\[\])?\.hyperparams\.(n_epochs|batch_size|learning_rate_multiplier)$",
        "is None",
        "What the service has yet to choose. OpenAI answered null there in 2022, as users' printouts show.",
    ),
    Difference(
        CLIENT,
        "GET /v1/(files|fine_tuning/jobs.*) answer",
        r"\.(object|first_id|last_id)$",
        "is not documented",
        "The client's page types name only what paging needs; OpenAI's description has these fields.",
    ),
    Difference(
        DESCRIPTION,
        "POST /v1/completions chunk",
        r"\.usage$",
        "is None",
        "With include_usage, all pieces but the last carry null: the description says so in words only.",
    ),
    Difference(
        DESCRIPTION,
        "GET /v1/files answer",
        r"\.(first_id|last_id)$",
        "is None",
        "An empty list has no first and no last file. The description of checkpoints allows null there.",
    ),
    Difference(
        DESCRIPTION,
        "GET /v1/fine_tuning/jobs/{id}/events answer",
        r"\.data\[\]\.data$",
        "is None",
        "A message has no data. OpenAI's own example shows null there.",
    ),
]
