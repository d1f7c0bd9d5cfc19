"""The words that train: ``fine_tunes.…`` of 2022, and two groups for today's fine-tuning jobs.

Those are ``fine_tuning.job.…`` of the package 0.28 and ``fine_tuning.jobs.…`` of 2.34. All groups do the same;
which requests that takes is in `endpoints`.
"""

import argparse
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from openai_command.api_words import add_word, client_for, note, say, show
from openai_data.errors import LessonError

if TYPE_CHECKING:
    import openai

    from openai_command.endpoints import Endpoint

Do = Callable[["Endpoint", argparse.Namespace], Any]

_SMALL = 200_000
"""Bytes of a training file that the four passes of 2022 teach little."""
_NUMBERS: tuple[tuple[str, type, str], ...] = (
    ("n_epochs", int, "how often the model reads all examples (default: 4, as in 2022)"),
    ("batch_size", int, "examples in one step"),
    ("learning_rate_multiplier", float, "how large the steps are: 0.02 to 0.2 was usual"),
    ("prompt_loss_weight", float, "how much the prompts count in training, from 0 to 1"),
    ("classification_n_classes", int, "how many classes there are"),
)
_OPTIONS = (
    "model suffix n_epochs batch_size learning_rate_multiplier prompt_loss_weight compute_classification_metrics "
    "classification_n_classes classification_positive_class classification_betas"
).split()
_PREFIXES = {
    "fine_tunes": "list get events follow cancel results delete",
    "fine_tuning.job": "list get events follow cancel results",
    "fine_tuning.jobs": "list retrieve list_events list_checkpoints follow cancel pause resume",
}


def register(commands: argparse._SubParsersAction) -> None:
    """Add the words to ``openai api``."""
    does: dict[str, tuple[str, Do]] = {
        "list": ("all {}s", lambda at, given: at.list(after=given.after, limit=given.limit)),
        "get": ("one {}", lambda at, given: at.get(given.id)),
        "events": ("what happened in a {}", _events),
        "list_checkpoints": ("the models of a {}'s last epochs", _checkpoints),
        "follow": ("follow a {} until it is over", lambda at, given: at.follow(given.id, given)),
        "cancel": ("end a {} before its time", lambda at, given: at.post(given.id, "cancel")),
        "pause": ("stop a {} for a while", lambda at, given: at.post(given.id, "pause")),
        "resume": ("let a paused {} go on", lambda at, given: at.post(given.id, "resume")),
        "results": ("the table with the loss and the accuracy at each step", _results),
        "delete": ("delete the model that a {} made", _delete),
    }
    does |= {"retrieve": does["get"], "list_events": does["events"]}
    _register_create(commands)
    for prefix, verbs in _PREFIXES.items():
        of_2022 = prefix == "fine_tunes"
        thing, id_ = ("fine-tune", "the fine-tune's id: ft-…") if of_2022 else ("job", "the job's id: ftjob-…")
        for verb in verbs.split():
            what, do = does[verb]
            of = "" if verb == "list" else id_
            parser = add_word(commands, f"{prefix}.{verb}", what.format(thing), partial(_ask, do), of)
            parser.set_defaults(group="fine_tunes" if of_2022 else "fine_tuning.jobs")
            parser.set_defaults(after=None, limit=None, stream=False)
            if of_2022 and verb == "events":
                parser.add_argument("-s", "--stream", action="store_true", help="the same as fine_tunes.follow")
            if not of_2022 and (verb == "events" or verb.startswith("list")):
                parser.add_argument("-a", "--after", metavar="ID", help="only what is behind this one in the list")
                parser.add_argument("-l", "--limit", type=int, metavar="N", help="N of them at most")


def _register_create(commands: argparse._SubParsersAction) -> None:
    create = commands.add_parser("fine_tunes.create", help="train a model, and follow how it goes")
    create.set_defaults(group="fine_tunes", hyperparameters={})
    create.add_argument("--no_follow", action="store_true", help="start the training and do not wait for its end")
    for name, type_, help_ in _NUMBERS:
        create.add_argument(f"--{name}", type=type_, help=help_)
    measured = "count right classes in the validation file after each epoch"
    create.add_argument("--compute_classification_metrics", action="store_true", default=None, help=measured)
    create.add_argument("--classification_positive_class", help="which of two classes precision and recall are of")
    scores = "F-scores to work out besides F-1"
    create.add_argument("--classification_betas", type=float, nargs="+", metavar="BETA", help=scores)
    job = commands.add_parser("fine_tuning.job.create", help="start a fine-tuning job")
    job.set_defaults(group="fine_tuning.jobs", hyperparameters={}, no_follow=True)
    job.add_argument("--n_epochs", type=int, help="how often the model reads all examples")
    jobs = commands.add_parser("fine_tuning.jobs.create", help="start a fine-tuning job")
    jobs.set_defaults(group="fine_tuning.jobs", check_if_files_exist=True, no_follow=True)
    example = """such as  '{"n_epochs": 3}'"""
    jobs.add_argument("-H", "--hyperparameters", type=_hyperparameters, default={}, metavar="JSON", help=example)
    anew = "do not look whether the same file was uploaded before"
    for parser in (create, job):
        parser.add_argument(
            "--no_check_if_files_exist", dest="check_if_files_exist", action="store_false", help=anew
        )
    older: tuple[tuple[str, ...], ...] = ("-t", "--training_file"), ("-v", "--validation_file"), ("--suffix",)
    newer: tuple[tuple[str, ...], ...] = ("-F", "--training-file"), ("-V", "--validation-file"), ("-s", "--suffix")
    what = "examples (JSONL): a file's id, a path, or an address that begins with http"
    for parser, (training, validation, suffix) in ((create, older), (job, older), (jobs, newer)):
        parser.add_argument(*training, required=True, metavar="FILE", help=what)
        parser.add_argument(*validation, metavar="FILE", help="examples to measure the model on")
        parser.add_argument(*suffix, help="a word for the trained model's name")
        parser.add_argument("-m", "--model", required=parser is jobs, help="the model to train, such as ada")
        parser.set_defaults(run=_create)


def _ask(do: Do, client: "openai.OpenAI", arguments: argparse.Namespace) -> Any:
    from openai_command.endpoints import Endpoint

    return do(Endpoint(client, arguments.group), arguments)


def _create(arguments: argparse.Namespace) -> None:
    from openai_command.endpoints import Endpoint
    from openai_command.training_files import TrainingFiles, require

    named = {"training_file": arguments.training_file, "validation_file": arguments.validation_file}
    require(*named.values())
    given = {name: value for name in _OPTIONS if (value := getattr(arguments, name, None)) is not None}
    given |= arguments.hyperparameters
    at = Endpoint(client_for(arguments), arguments.group)
    options = at.in_its_words(given)
    files = TrainingFiles(at.client, note if arguments.no_follow else say, arguments.check_if_files_exist)
    made = at.create(options, {role: files.id_of(name) for role, name in named.items() if name})
    if arguments.no_follow:
        show(made)
        return
    print(
        f"Created fine-tune: {made['id']}\nStreaming events until fine-tuning is complete...\n\n"
        "(Ctrl-C will interrupt the stream, but not cancel the fine-tune)",
        flush=True,
    )
    at.follow(made["id"], arguments)
    size = sum(file["bytes"] for file in made.get("training_files", []))
    if arguments.n_epochs is None and 0 < size < _SMALL and at.get(made["id"])["status"] == "succeeded":
        note("\nThe model read the examples 4 times, as usual in 2022. It learns them better with:  --n_epochs 13")


def _hyperparameters(text: str) -> dict[str, Any]:
    with suppress(ValueError):
        if isinstance(found := json.loads(text), dict):
            return found
    raise LessonError(f"""-H takes an object in JSON, such as  '{{"n_epochs": 3}}' , not {text}""")


def _events(at: "Endpoint", arguments: argparse.Namespace) -> Any:
    if not arguments.stream:
        return at.list(arguments.id, "events", after=arguments.after, limit=arguments.limit)
    at.follow(arguments.id, arguments)


def _checkpoints(at: "Endpoint", arguments: argparse.Namespace) -> Any:
    return at.list(arguments.id, "checkpoints", after=arguments.after, limit=arguments.limit)


def _results(at: "Endpoint", arguments: argparse.Namespace) -> None:
    print(at.results(arguments.id), end="")


def _delete(at: "Endpoint", arguments: argparse.Namespace) -> Any:
    model = at.get(arguments.id).get("fine_tuned_model")
    if not model:
        raise LessonError(f"The fine-tune {arguments.id} has made no model, so there is nothing to delete.")
    deleted = at.client.models.delete(model)
    note(f"The fine-tune stays in the list. Its model is deleted, as by:  openai api models.delete -i {model}")
    return deleted
