"""Training files that are spoilt in every way: each is accepted and can be trained on, or refused in a sentence.

A failure names the number of the file; `spoilt.training_file` and `spoilt.table_file` make it again.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from measured import MAKE, in_proportion
from spoilt import table_file, training_file

from openai_command.openai import main
from openai_local.models.base_models import SMOLLM2
from openai_local.training.dataset import DataError, count, read
from openai_local.training.job_folder import EXAMPLE_TOKENS
from openai_local.training.tokenisation import Encoder

ENDINGS = (".jsonl", ".csv", ".json", ".tsv", ".txt", ".xlsx", ".html")
LONGEST = 1_000


def verdict(path: Path, param: str = "training_file") -> tuple[list[dict], DataError | None]:
    try:
        return read(path, param), None
    except DataError as error:
        return [], error


def is_a_sentence(said: str) -> bool:
    return len(said.splitlines()) == 1 and len(said) < LONGEST and "Traceback" not in said


def test_what_is_checked_before_training(size, tried, tmp_path, tiny_cache):
    encoder, path = Encoder(SMOLLM2.at(tiny_cache).weights), tmp_path / "train.jsonl"
    files, accepted = size(400, 10_000), 0
    for number in range(files):
        content = training_file(number)
        path.write_bytes(content)
        records, error = verdict(path)
        if error is None:
            accepted += 1
            assert count(path) == len(records) >= 10
            for record in records:
                example = encoder.encode(record, EXAMPLE_TOKENS)
                assert len(example.tokens) == len(example.counts) <= EXAMPLE_TOKENS, number
            continue
        said = str(error)
        assert is_a_sentence(said), f"{number}: {said}"
        assert str(verdict(path)[1]) == said, f"{number}: another verdict at the second try"
        if "example(s)" in said:
            continue
        line = int(re.search(r"\bLine (\d+)", said)[1])
        lines = content.split(b"\n")
        path.write_bytes(b"\n".join(lines[: line - 1]))
        assert "has 0 example(s)" in str(verdict(path, "validation_file")[1] or "has 0 example(s)"), (
            f"{number}: a line before line {line} is wrong too"
        )
        path.write_bytes(b"\n".join(lines[:line]))
        assert str(verdict(path)[1]) == said, f"{number}: it is not line {line} that is wrong"
    assert 0.1 < accepted / files < 0.6, "some of each kind"
    tried("training files: validation and tokens", f"{files:,} files, {accepted:,} accepted", 0)


def test_what_is_uploaded_stays_whole_and_is_refused_by_its_job(size, tried, service, tmp_path):
    client, path = service.client("hostile"), tmp_path / "train.jsonl"
    files, jobs, lost = size(60, 10_000), 0, 0
    for number in range(files):
        content = training_file(number)
        path.write_bytes(content)
        file = client.files.create(file=(f"{number}.jsonl", content), purpose="fine-tune")
        lost += client.files.content(file.id).read() != content
        _, error = verdict(path)
        if number % size(6, 50) == 0:
            job = client.fine_tuning.jobs.create(training_file=file.id, model="ada")
            jobs += 1
            while job.status == "validating_files":
                job = client.fine_tuning.jobs.retrieve(job.id)
            if error:
                assert job.status == "failed", number
                assert (job.error.code, job.error.message, job.error.param) == (
                    error.code,
                    str(error),
                    error.param,
                )
            else:
                assert job.status in ("queued", "running"), number
                client.fine_tuning.jobs.cancel(job.id)
        assert client.files.delete(file.id).deleted
    assert lost == 0
    tried("training files: upload, and jobs with them", f"{files:,} files, {jobs:,} jobs", lost)


def test_what_is_prepared(size, tried, tmp_path, machine, capsys):
    files, accepted = size(280, 10_000), 0
    for number in range(files):
        ending = ENDINGS[number % len(ENDINGS)]
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / f"data{ending}"
        path.write_bytes(table_file(number, ending))
        before = path.read_bytes()
        options = ["--format", "chat"] if number % 5 == 0 else []
        code = main(["tools", "fine_tunes.prepare_data", "-q", *options, "-f", str(path)])
        said, written = capsys.readouterr(), [file for file in folder.iterdir() if file != path]
        assert path.read_bytes() == before
        if code == 0:
            accepted += 1
            usable = written or [path]
            for file in usable:
                records, error = verdict(file, "validation_file")
                assert records, f"{number} ({ending}): {file.name}: {error}"
        else:
            assert code == 1 and not written, f"{number} ({ending})"
            sentence = said.err.removeprefix("Error: ")
            assert is_a_sentence(sentence) and "should not happen" not in sentence, (
                f"{number} ({ending}): {sentence}"
            )
            assert path.name in sentence or "All " in sentence, f"{number} ({ending}): {sentence}"
        for file in [path, *written]:
            file.unlink()
    assert 0.1 < accepted / files < 0.9, "some of each kind"
    tried("training files: prepare_data", f"{files:,} files, {accepted:,} accepted", 0)


def test_time_and_memory_stay_in_proportion(size, tried, tmp_path, tiny_cache):
    """What counts is how long a processor worked: other things may go on, on the same machine."""
    words = [sys.executable, str(Path(__file__).with_name("measured.py")), str(size(1, 16)), str(tmp_path)]
    environment = {**os.environ, "OPENAI_LOCAL_CACHE": str(tiny_cache)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shapes = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(shapes) == len(MAKE)
    assert [found for found in shapes if not in_proportion(found)] == []
    worst = max(found["large"][0] / max(found["small"][0], 0.1) for found in shapes)
    what = f"{len(shapes)} shapes; four times as much takes at most {worst:.1f} times as long"
    tried("large training files: time and memory", what, 0)
