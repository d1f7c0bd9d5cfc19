"""Everything a learner does, with the plain official client. Runs unchanged on openai 1.x, 2.x and 3.x.

    OPENAI_BASE_URL=… OPENAI_API_KEY=… python today.py TRAINING_FILE

It prints a line for each step. A step that goes wrong ends it with a traceback.
"""

import sys
import time
from contextlib import contextmanager
from pathlib import Path

import openai

client = openai.OpenAI(max_retries=0)
HI = [{"role": "user", "content": "What is rain?"}]


@contextmanager
def refused(kind, param=None, code=None):
    """The block below must end with this error."""
    try:
        yield
    except kind as error:
        assert (error.param, error.code) == (param, code), (error.param, error.code)
    else:
        raise AssertionError(f"no {kind.__name__}")


def upload(path):
    with Path(path).open("rb") as file:
        made = client.files.create(file=file, purpose="fine-tune")
    assert made.id in [file.id for file in client.files.list(limit=2)], "the pager goes through all pages"
    assert client.files.retrieve(made.id) == made
    print("uploaded", made.id)
    return made.id


def train(training_file):
    job = client.fine_tuning.jobs.create(
        training_file=training_file,
        validation_file=training_file,
        model="ada",
        hyperparameters={"n_epochs": 3},
        suffix="today",
    )
    assert job.object == "fine_tuning.job" and job.status == "validating_files"
    print("created", job.id)
    return job.id


def follow(job_id):
    """Read all events, oldest first, the way OpenAI's own examples do: page by page, until the job is over."""
    seen, deadline = [], time.monotonic() + 300
    while time.monotonic() < deadline:
        over = client.fine_tuning.jobs.retrieve(job_id).finished_at is not None
        known = {event.id for event in seen}
        new = [event for event in client.fine_tuning.jobs.list_events(job_id) if event.id not in known]
        seen += reversed(new)
        if over:
            again = list(client.fine_tuning.jobs.list_events(job_id, limit=7))
            assert again == seen[::-1], "other pages, other events"
            return seen
        time.sleep(0.5)
    raise AssertionError(f"{job_id} is not over after five minutes")


def check_events(events):
    words = [event.message for event in events]
    assert words[-1] == "The job has successfully completed", words[-1]
    metrics = [event.data for event in events if event.type == "metrics"]
    steps = [data["step"] for data in metrics if "train_loss" in data]
    assert steps == sorted(steps) and steps[-1] == metrics[0]["total_steps"], steps
    assert any("full_valid_loss" in data for data in metrics), "the validation file was used"
    print("followed", len(events), "events")


def same(streamed, whole):
    """Half a character at the end (a tiny model says such things) is held back in a stream."""
    assert streamed.rstrip("\ufffd") == whole.rstrip("\ufffd"), (streamed, whole)
    return True


def ask(model):
    asked = {"model": model, "prompt": "What is rain?", "max_tokens": 8, "temperature": 0}
    answer = client.completions.create(**asked)
    assert answer.choices[0].text and answer.usage.completion_tokens <= 8
    stream = client.completions.create(**asked, stream=True)
    assert same("".join(chunk.choices[0].text for chunk in stream), answer.choices[0].text)
    print("asked", model)


def chat(model):
    answer = client.chat.completions.create(model=model, messages=HI, max_tokens=8, temperature=0)
    assert answer.choices[0].message.role == "assistant"
    stream = client.chat.completions.create(model=model, messages=HI, max_tokens=8, temperature=0, stream=True)
    assert same("".join(c.choices[0].delta.content or "" for c in stream), answer.choices[0].message.content)
    print("chatted with", model)


def check_refusals():
    with refused(openai.AuthenticationError, code="invalid_api_key"):
        client.with_options(api_key="sk-wrong").models.list()
    with refused(openai.NotFoundError, param="model", code="model_not_found"):
        client.completions.create(model="gpt-9", prompt="x")
    with refused(openai.BadRequestError, param="temperature", code="invalid_value"):
        client.completions.create(model="ada", prompt="x", temperature=7)
    with refused(openai.BadRequestError, param="wings", code="unsupported_parameter"):
        client.chat.completions.create(model="ada", messages=HI, extra_body={"wings": 2})
    with refused(openai.NotFoundError, param="fine_tuning_job_id", code="fine_tune_not_found"):
        client.fine_tuning.jobs.retrieve("ftjob-none")
    print("refused what is wrong")


def main():
    print("openai", openai.VERSION)
    check_refusals()
    file_id = upload(sys.argv[1])
    job_id = train(file_id)
    check_events(follow(job_id))
    job = client.fine_tuning.jobs.retrieve(job_id)
    assert job.status == "succeeded" and job.hyperparameters.n_epochs == 3
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job_id, limit=1))
    assert checkpoints and checkpoints[0].fine_tuning_job_id == job_id
    ask(checkpoints[-1].fine_tuned_model_checkpoint)
    table = client.files.content(job.result_files[0]).text
    assert table.startswith("step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,"), table
    ask(job.fine_tuned_model)
    chat(job.fine_tuned_model)
    assert job.fine_tuned_model in [model.id for model in client.models.list()]
    assert client.models.delete(job.fine_tuned_model).deleted
    with refused(openai.NotFoundError, param="model", code="model_not_found"):
        client.models.retrieve(job.fine_tuned_model)
    assert client.files.delete(file_id).deleted
    print("done")


main()
