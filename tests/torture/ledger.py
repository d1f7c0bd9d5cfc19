"""What a service has acknowledged, and whether it still stands by it after it was killed."""

import contextlib
import time
from collections import Counter
from pathlib import Path

import openai
import psutil


def trainings(home: Path) -> list[psutil.Process]:
    """The training processes of a home that run."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if "openai_local.training" in words and str(home) in words[-1] and process.status() != "zombie":
                found.append(process)
    return found


class Ledger:
    """Writes down what was promised, and finds what was not kept."""

    def __init__(self, home: Path) -> None:
        """`home` is the service's. `lost` fills with sentences."""
        self.home = home
        self.sent: dict[str, bytes] = {}
        """Every upload that was tried, by its file name."""
        self.files: dict[str, bytes] = {}
        """What uploads were acknowledged, by their ids."""
        self.deleted: set[str] = set()
        """Files and models whose deletion was acknowledged."""
        self.doubtful: set[str] = set()
        """Files and models whose deletion was asked for and not answered."""
        self.jobs: dict[str, str] = {}
        """The jobs that were acknowledged: id and the mark that the request had."""
        self.seen: dict[str, list[str]] = {}
        """The events that were seen of each job, oldest first."""
        self.models: set[str] = set()
        """The fine-tunes of jobs that were seen to succeed."""
        self.lost: list[str] = []

    def check(self, client: openai.OpenAI) -> None:
        """Compare all of it with what the service says now."""
        self._check_files(client)
        self._check_jobs(client)
        self._check_models(client)
        if len(running := trainings(self.home)) > 1:
            self.lost.append(f"{len(running)} trainings at once")

    def _check_files(self, client: openai.OpenAI) -> None:
        listed = {file.id: file for file in client.files.list()}
        for id_, file in listed.items():
            if file.purpose == "fine-tune-results":
                continue
            content = client.files.content(id_).content
            if content != self.sent[file.filename] or len(content) != file.bytes:
                self.lost.append(f"{id_} is not what was sent")
        for id_ in sorted(self.doubtful & set(self.files)):
            if id_ not in listed:
                self.deleted.add(id_)
            self.doubtful.discard(id_)
        self.lost += [f"{id_} is gone" for id_ in self.files if id_ not in listed and id_ not in self.deleted]
        self.lost += [f"{id_} is back" for id_ in self.deleted if id_ in listed]
        self._check_disk(client)

    def _check_disk(self, client: openai.OpenAI) -> None:
        """A table of results may be on its way just now; a second later it has come."""
        for patience in (True, False):
            on_disk = {path.name for path in (self.home / "files").iterdir()}
            listed = {file.id for file in client.files.list()}
            if patience and on_disk != listed:
                time.sleep(1)
                continue
            self.lost += [f"files/{name} belongs to nothing" for name in on_disk - listed]
            self.lost += [f"{name} is listed and not on disk" for name in listed - on_disk]

    def _check_jobs(self, client: openai.OpenAI) -> None:
        jobs = {job.id: job for job in client.fine_tuning.jobs.list(limit=1000)}
        self.lost += [f"{id_} is gone" for id_ in self.jobs if id_ not in jobs]
        marks = Counter((job.metadata or {}).get("mark") for job in jobs.values())
        self.lost += [f"{count} jobs of one request" for count in marks.values() if count > 1]
        for id_, job in jobs.items():
            if job.status == "failed":
                self.lost.append(f"{id_} failed: {job.error and job.error.message}")
            self._check_events(client, id_)

    def _check_events(self, client: openai.OpenAI, job: str) -> None:
        events = list(client.fine_tuning.jobs.list_events(job, limit=1000))[::-1]
        ids = [event.id for event in events]
        steps = [event.data["step"] for event in events if event.type == "metrics"]
        before = self.seen.get(job, [])
        if ids[: len(before)] != before or len(set(ids)) != len(ids):
            self.lost.append(f"the events of {job} have changed")
        if steps != list(range(1, len(steps) + 1)):
            self.lost.append(f"the steps of {job} are not 1 to {len(steps)}")
        if [event.message.split(":")[0] for event in events[:2]] != [
            "Created fine-tuning job",
            "Validating training file",
        ]:
            self.lost.append(f"{job} doesn't begin as jobs do")
        self.seen[job] = ids

    def _check_models(self, client: openai.OpenAI) -> None:
        listed = {model.id for model in client.models.list()}
        self.doubtful, asked = self.doubtful - self.models, self.doubtful & self.models
        self.deleted |= asked - listed
        self.lost += [f"{name} is gone" for name in self.models - self.deleted - listed]
        self.lost += [f"{name} is back" for name in self.models & self.deleted & listed]
