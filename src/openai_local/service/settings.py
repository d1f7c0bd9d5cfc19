"""How a service is started: where it listens, who may call it and how much, and where its jobs run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from openai_local.runners import Runner
from openai_local.runners.local import LocalRunner
from openai_local.service.identity import Door
from openai_local.service.trusted_hosts import ANY


@dataclass(frozen=True)
class Limits:
    """What one learner may have at most; None is no limit. An instructor has none.

    Attributes:
        jobs: fine-tuning jobs that are not over yet.
        stored: bytes of files, trained models included.
        requests: requests in a minute.
        open: requests that are being answered at the same time.
        answers: answers that are made or wait at the same time.
        files: files, result files included.
        daily: fine-tuning jobs in a day, those that are over too.
        minutes: how long one job may train, as it is estimated before it starts.
    """

    jobs: int | None = None
    stored: int | None = None
    requests: int | None = None
    open: int | None = None
    answers: int | None = None
    files: int | None = None
    daily: int | None = None
    minutes: int | None = None


CLASS = Limits(jobs=3, stored=500_000_000, requests=600, open=64, answers=16, files=1000, daily=100, minutes=60)
"""What a learner of a class may have, unless the instructor says otherwise."""


@dataclass(frozen=True)
class Settings:
    """All that can be chosen when a service starts.

    Attributes:
        host: the address to listen on.
        port: the port; 0 picks a free one.
        idle_timeout: stop when nobody called for so many seconds; None never.
        certificate: for TLS, a file with the certificate and those that vouch for it (PEM).
        private_key: for TLS, the file with its key (PEM).
        names: the hosts that the service may be called, besides numbers; with `guard.ANY` any other too.
        prefix: the path under which a proxy puts the service, such as ``/services/openai``.
        doors: who else knows keys, such as a JupyterHub; asked after the service's own keys.
        limits: what one learner may have.
        runner: where jobs run.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    idle_timeout: float | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    names: frozenset[str] = frozenset({ANY})
    prefix: str = ""
    doors: tuple[Door, ...] = ()
    limits: Limits = Limits()
    runner: Runner = field(default_factory=LocalRunner)
