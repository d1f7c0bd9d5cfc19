"""A walk through every endpoint with a real job of a real (tiny) model, for the sake of what comes back."""

from __future__ import annotations

import json
from typing import Any

from recorder import Recorder

HI = [{"role": "user", "content": "hi"}]


SCHEMA = {
    "type": "object",
    "properties": {"wet": {"type": "boolean"}},
    "required": ["wet"],
    "additionalProperties": False,
}


def tour(calls: Recorder, data: bytes) -> None:
    """Call everything. `data` is a training file."""
    files(calls, data)
    job = jobs(calls, data)
    fine_tunes(calls, job)
    completions(calls, job["fine_tuned_model"])
    engines(calls, job["fine_tuned_model"])
    chat(calls, job["fine_tuned_model"])
    responses(calls, job["fine_tuned_model"])
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
    for word in ("cancel", "pause", "resume"):
        calls.post(f"{path}/{word}", status=400)
    checkpoint = calls.get(f"{path}/checkpoints?limit=1")["data"][0]
    calls.get(f"{path}/checkpoints")
    calls.post("completions", {"model": checkpoint["fine_tuned_model_checkpoint"], "prompt": "x", "max_tokens": 2})
    calls.get(f"files/{job['result_files'][0]}")
    calls.get(f"files/{job['result_files'][0]}/content")
    return job


def _others(calls: Recorder, file: str) -> None:
    """Jobs that end otherwise."""
    bad = calls.upload("bad.jsonl", b"no json\n")["id"]
    failed = calls.post("fine_tuning/jobs", {"model": "ada", "training_file": bad})
    cancelled = calls.post("fine_tuning/jobs", {"model": "ada", "training_file": file, "hyperparameters": {}})
    path = f"fine_tuning/jobs/{cancelled['id']}"
    assert calls.post(f"{path}/pause")["status"] == "paused"
    assert calls.get(path)["status"] == "paused"
    calls.get("fine_tuning/jobs?limit=2")
    calls.post(f"{path}/resume")
    assert calls.post(f"{path}/cancel")["status"] == "cancelled"
    assert calls.get(f"{path}/checkpoints")["data"] == []
    calls.get(f"{path}/events")
    assert calls.until(f"fine_tuning/jobs/{failed['id']}", "failed")["error"]["code"] == "invalid_training_file"
    calls.get(f"fine_tuning/jobs/{failed['id']}/events")


def fine_tunes(calls: Recorder, job: Any) -> None:
    """The words of 2022: for the job above, which has an id there too, and for one that is cancelled."""
    path = f"fine-tunes/{job['id'].replace('ftjob-', 'ft-')}"
    assert calls.get(path)["status"] == "succeeded"
    calls.get(f"{path}/events")
    calls.stream("GET", f"{path}/events?stream=true")
    cancelled = calls.post("fine-tunes", {"model": "ada", "training_file": job["training_file"], "n_epochs": 50})
    assert calls.post(f"fine-tunes/{cancelled['id']}/cancel")["status"] == "cancelled"
    calls.post(f"fine-tunes/{cancelled['id']}/cancel", status=400)
    calls.get("fine-tunes")
    calls.get("fine-tunes/ft-none", status=404)
    calls.post("fine-tunes", {"model": "ada", "training_file": "file-none"}, status=400)


def completions(calls: Recorder, model: str) -> None:
    ask = {"model": model, "prompt": "What is rain?", "max_tokens": 4, "temperature": 0}
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    calls.post("completions", ask)
    calls.post("completions", ask | {"prompt": ["a", "b"], "n": 2, "stop": ["e"]})
    calls.post("completions", ask | {"logprobs": 2, "echo": True})
    calls.post("completions", ask | {"best_of": 2, "temperature": 1})
    calls.stream("POST", "completions", ask | {"stream": True})
    calls.stream("POST", "completions", ask | stream | {"logprobs": 1})


def engines(calls: Recorder, model: str) -> None:
    calls.get("engines")
    calls.get(f"engines/{model}")
    calls.get("engines/none", status=404)
    calls.post(f"engines/{model}/completions", {"prompt": "x", "max_tokens": 2})
    calls.stream("POST", f"engines/{model}/completions", {"prompt": "x", "max_tokens": 2, "stream": True})


def chat(calls: Recorder, model: str) -> None:
    ask = {"model": model, "messages": HI, "max_completion_tokens": 4}
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    form = {"type": "json_schema", "json_schema": {"name": "rain", "schema": SCHEMA, "strict": True}}
    calls.post("chat/completions", ask)
    calls.post("chat/completions", ask | {"n": 2, "seed": 1})
    calls.post("chat/completions", ask | {"logprobs": True, "top_logprobs": 2})
    calls.post("chat/completions", ask | {"response_format": form, "max_completion_tokens": 40})
    calls.stream("POST", "chat/completions", ask | {"stream": True})
    calls.stream("POST", "chat/completions", ask | stream | {"logprobs": True, "top_logprobs": 1})


def responses(calls: Recorder, model: str) -> None:
    ask = {"model": model, "input": "hi", "max_output_tokens": 16}
    form = {"format": {"type": "json_schema", "name": "rain", "schema": SCHEMA}}
    logprobs = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    calls.post("responses", ask)
    calls.post("responses", ask | {"input": HI, "instructions": "Be brief.", "metadata": {"a": "b"}} | logprobs)
    calls.post("responses", ask | {"text": form, "max_output_tokens": 40})
    calls.stream("POST", "responses", ask | {"stream": True} | logprobs, done=False)
    calls.stream("POST", "responses", ask | {"text": form, "max_output_tokens": 40, "stream": True}, done=False)


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
        "responses": {"input": "hi"},
        "fine_tuning/jobs": {"training_file": "file-none"},
    }.items():
        calls.post(path, {"model": "gpt-9", **good}, status=404)
        calls.post(path, {"model": "ada", "wings": 2, **good}, status=400)
        calls.post(path, {"model": 5, **good}, status=400)
        calls.post(path, {"model": "ada"}, status=400)
        calls.call("POST", path, content=b"no json", status=400)
        calls.post(path, [], status=400)
    calls.post("fine_tuning/jobs", {"model": "ada", "training_file": "file-none"}, status=400)
    for word in ("", "/events", "/checkpoints"):
        calls.get(f"fine_tuning/jobs/ftjob-none{word}", status=404)
    for word in ("cancel", "pause", "resume"):
        calls.post(f"fine_tuning/jobs/ftjob-none/{word}", status=404)
    calls.get("fine_tuning/jobs?after=ftjob-none", status=400)
    too_long = json.dumps({"model": "ada", "prompt": "x" * 9000})
    calls.call("POST", "completions", content=too_long, status=400)
