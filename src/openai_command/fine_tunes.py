"""The words ``fine_tunes.…`` of 2022: train a model, follow it, look at what came out."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from openai_command.clients import client_for
from openai_command.following import follow
from openai_command.printing import note, say, show
from openai_command.results import results
from openai_command.training_files import TrainingFiles, require
from openai_command.words import add_words
from openai_data.errors import LessonError

if TYPE_CHECKING:
    from openai_command.endpoints import Endpoint

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


def register(commands: argparse._SubParsersAction) -> None:
    """Add the words to ``openai api``."""
    commands.add_parser("fine_tunes.list", help="all fine-tunes").set_defaults(run=_list)
    create = commands.add_parser("fine_tunes.create", help="train a model, and follow how it goes")
    add_files(create)
    create.add_argument("--no_follow", action="store_true", help="start the training and do not wait for its end")
    for name, type_, help_ in _NUMBERS:
        create.add_argument(f"--{name}", type=type_, help=help_)
    create.add_argument(
        "--compute_classification_metrics",
        action="store_true",
        default=None,
        help="count right classes in the validation file after each epoch",
    )
    create.add_argument("--classification_positive_class", help="which of two classes precision and recall are of")
    create.add_argument(
        "--classification_betas", type=float, nargs="+", metavar="BETA", help="F-scores to work out besides F-1"
    )
    create.set_defaults(run=_create)
    words = (
        ("fine_tunes.get", _get, "one fine-tune, with its events"),
        ("fine_tunes.events", _events, "what happened in a fine-tune"),
        ("fine_tunes.follow", _follow, "follow a fine-tune until it is over"),
        ("fine_tunes.cancel", _cancel, "end a fine-tune before its time"),
        ("fine_tunes.results", _results, "the table with the loss and the accuracy at each step"),
        ("fine_tunes.delete", _delete, "delete the model that a fine-tune made"),
    )
    events = add_words(commands, "the fine-tune's id: ft-…", words)["fine_tunes.events"]
    events.add_argument("-s", "--stream", action="store_true", help="the same as fine_tunes.follow")


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the options for the files, the model and its name, which `fine_tuning.job.create` has too."""
    where = "a file's id, a path, or an address that begins with http"
    parser.add_argument("-t", "--training_file", required=True, metavar="FILE", help=f"examples (JSONL): {where}")
    parser.add_argument("-v", "--validation_file", metavar="FILE", help="examples to measure the model on")
    parser.add_argument(
        "--no_check_if_files_exist",
        dest="check_if_files_exist",
        action="store_false",
        help="do not look whether the same file was uploaded before",
    )
    parser.add_argument("-m", "--model", help="the model to train, such as ada")
    parser.add_argument("--suffix", help="a word for the trained model's name")


def _endpoint(arguments: argparse.Namespace) -> Endpoint:
    client = client_for(arguments)
    from openai_command.endpoints import endpoint

    return endpoint(client)


def _list(arguments: argparse.Namespace) -> int:
    return show(_endpoint(arguments).list())


def _create(arguments: argparse.Namespace) -> int:
    require(arguments.training_file, arguments.validation_file)
    endpoint = _endpoint(arguments)
    options = {name: getattr(arguments, name) for name in _OPTIONS if getattr(arguments, name) is not None}
    request = endpoint.request(options)
    tell = note if arguments.no_follow else say
    files = TrainingFiles(endpoint.client, tell, arguments.check_if_files_exist)
    request["training_file"] = files.id_of(arguments.training_file)
    if arguments.validation_file:
        request["validation_file"] = files.id_of(arguments.validation_file)
    made = endpoint.create(request)
    return show(made) if arguments.no_follow else _follow_new(endpoint, arguments, made)


def _follow_new(endpoint: Endpoint, arguments: argparse.Namespace, made: dict[str, Any]) -> int:
    print(
        f"Created fine-tune: {made['id']}\nStreaming events until fine-tuning is complete...\n\n"
        "(Ctrl-C will interrupt the stream, but not cancel the fine-tune)",
        flush=True,
    )
    ended = follow(endpoint.client, arguments, made["id"], "fine_tunes", endpoint.watcher)
    sizes = [file["bytes"] for file in made.get("training_files", [])]
    if ended and arguments.n_epochs is None and sizes and sum(sizes) < _SMALL:
        note("\nThe model read the examples 4 times, as usual in 2022. It learns them better with:  --n_epochs 13")
    return 0


def _get(arguments: argparse.Namespace) -> int:
    return show(_endpoint(arguments).get(arguments.id))


def _events(arguments: argparse.Namespace) -> int:
    return _follow(arguments) if arguments.stream else show(_endpoint(arguments).events(arguments.id))


def _follow(arguments: argparse.Namespace) -> int:
    endpoint = _endpoint(arguments)
    follow(endpoint.client, arguments, arguments.id, "fine_tunes", endpoint.watcher)
    return 0


def _cancel(arguments: argparse.Namespace) -> int:
    return show(_endpoint(arguments).cancel(arguments.id))


def _results(arguments: argparse.Namespace) -> int:
    endpoint = _endpoint(arguments)
    print(results(endpoint.client, endpoint.get(arguments.id)), end="")
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    endpoint = _endpoint(arguments)
    model = endpoint.get(arguments.id).get("fine_tuned_model")
    if not model:
        raise LessonError(f"The fine-tune {arguments.id} has made no model, so there is nothing to delete.")
    deleted = endpoint.client.models.delete(model)
    note(f"The fine-tune stays in the list. Its model is deleted, as by:  openai api models.delete -i {model}")
    return show(deleted)
