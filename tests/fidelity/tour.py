"""A walk through every endpoint with a real job of a real (tiny) model, for the sake of what comes back."""

from __future__ import annotations

import json
from typing import Any

from recorder import Recorder

HI = [{"role": "user", "content": "hi"}]


def tour(calls: Recorder, data: bytes) -> None:
    """Call everything. `data` is a training file."""
    files(calls, data)
    job = jobs(calls, data)
    completions(calls, job["fine_tuned_model"])
    chat(calls, job["fine_tuned_model"])
    errors(calls)
    models(calls, job["fine_tuned_model"])


def files(calls: Recorder, data: bytes) -> None:
    file = calls.upload("files.jsonl", data)
    calls.get("files")
    calls.get("files?limit=1&purpose=fine-tune&order=asc")
    calls.get("files?purpose=batch")
    calls.get(f"files/{file['id']}")
    assert calls.get(f"files/{file['id']}/content").encode() == data
    calls.delete(f"files/{file['id']}")
    for path in (f"files/{file['id']}", f"files/{file['id']}/content"):
        calls.get(path, status=404)
    calls.delete(f"files/{file['id']}", status=404)
    calls.upload("files.csv", data, status=400)
    calls.upload("files.jsonl", data, "batch", status=400)
    calls.get("files?limit=none", status=400)


def jobs(calls: Recorder, data: bytes) -> Any:
    """A job to its end. Returns it."""
    file = calls.upload("train.jsonl", data)["id"]
    job = calls.post(
        "fine_tuning/jobs",
        {
            "model": "ada",
            "training_file": file,
            "validation_file": file,
            "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
            "metadata": {"purpose": "a test"},
            "suffix": "fidelity",
            "seed": 7,
        },
    )
    path = f"fine_tuning/jobs/{job['id']}"
    calls.until(path, "running")
    calls.delete(f"files/{file}", status=409)
    _others(calls, file)
    job = calls.until(path, "succeeded", "failed")
    assert job["status"] == "succeeded", job
    calls.get("fine_tuning/jobs?limit=3")
    calls.get(f"fine_tuning/jobs?after={job['id']}&limit=1")
    assert calls.get(f"{path}/events?limit=5")["has_more"]
    calls.get(f"{path}/events?limit=100")
    calls.post(f"{path}/cancel", status=400)
    calls.get(f"files/{job['result_files'][0]}")
    calls.get(f"files/{job['result_files'][0]}/content")
    return job


def _others(calls: Recorder, file: str) -> None:
    """Jobs that end otherwise."""
    bad = calls.upload("bad.jsonl", b"no json\n")["id"]
    failed = calls.post("fine_tuning/jobs", {"model": "ada", "training_file": bad})
    cancelled = calls.post("fine_tuning/jobs", {"model": "ada", "training_file": file, "hyperparameters": {}})
    path = f"fine_tuning/jobs/{cancelled['id']}"
    assert calls.post(f"{path}/cancel")["status"] == "cancelled"
    calls.get(f"{path}/events")
    assert calls.until(f"fine_tuning/jobs/{failed['id']}", "failed")["error"]["code"] == "invalid_training_file"
    calls.get(f"fine_tuning/jobs/{failed['id']}/events")


def completions(calls: Recorder, model: str) -> None:
    ask = {"model": model, "prompt": "What is rain?", "max_tokens": 4, "temperature": 0}
    calls.post("completions", ask)
    calls.post("completions", ask | {"prompt": ["a", "b"], "n": 2, "stop": ["e"]})
    calls.stream("POST", "completions", ask | {"stream": True})
    calls.stream("POST", "completions", ask | {"stream": True, "stream_options": {"include_usage": True}})


def chat(calls: Recorder, model: str) -> None:
    ask = {"model": model, "messages": HI, "max_completion_tokens": 4}
    calls.post("chat/completions", ask)
    calls.post("chat/completions", ask | {"n": 2, "seed": 1})
    calls.stream("POST", "chat/completions", ask | {"stream": True})
    calls.stream("POST", "chat/completions", ask | {"stream": True, "stream_options": {"include_usage": True}})


def models(calls: Recorder, model: str) -> None:
    calls.get("models")
    calls.get(f"models/{model}")
    calls.get("models/ada")
    calls.delete(f"models/{model}")
    calls.get(f"models/{model}", status=404)
    calls.delete(f"models/{model}", status=404)
    calls.delete("models/ada", status=403)


def errors(calls: Recorder) -> None:
    """What is wrong with every endpoint alike, and with some."""
    calls.get("models", key="", status=401)
    calls.get("models", key="sk-wrong", status=401)
    calls.get("wings", status=404)
    calls.call("PATCH", "models", status=405)
    for path, good in {
        "completions": {"prompt": "x"},
        "chat/completions": {"messages": HI},
        "fine_tuning/jobs": {"training_file": "file-none"},
    }.items():
        calls.post(path, {"model": "gpt-9", **good}, status=404)
        calls.post(path, {"model": "ada", "wings": 2, **good}, status=400)
        calls.post(path, {"model": 5, **good}, status=400)
        calls.post(path, {"model": "ada"}, status=400)
        calls.call("POST", path, content=b"no json", status=400)
        calls.post(path, [], status=400)
    calls.post("fine_tuning/jobs", {"model": "ada", "training_file": "file-none"}, status=400)
    for word in ("", "/events"):
        calls.get(f"fine_tuning/jobs/ftjob-none{word}", status=404)
    calls.post("fine_tuning/jobs/ftjob-none/cancel", status=404)
    too_long = json.dumps({"model": "ada", "prompt": "x" * 9000})
    calls.call("POST", "completions", content=too_long, status=400)
