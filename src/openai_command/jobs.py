"""The words for today's fine-tuning jobs: ``fine_tuning.job.…`` of 0.28, and ``fine_tuning.jobs.…`` of 2.34."""

from __future__ import annotations

import argparse
import json
from itertools import islice
from typing import Any

from openai_command.clients import client_for
from openai_command.fine_tunes import add_files
from openai_command.following import follow
from openai_command.printing import note, show, show_list
from openai_command.results import results
from openai_command.training_files import TrainingFiles, require
from openai_command.words import add_words
from openai_data.errors import LessonError

_MOST_ON_A_PAGE = 100


def register(commands: argparse._SubParsersAction) -> None:
    """Add the words to ``openai api``."""
    _register_create(commands)
    words = (
        ("fine_tuning.job.get", _get, "one job"),
        ("fine_tuning.job.results", _results, "the table with the loss and the accuracy at each step"),
        ("fine_tuning.job.follow", _follow, "follow a job until it is over"),
        ("fine_tuning.job.cancel", _cancel, "end a job before its time"),
        ("fine_tuning.job.events", _events, "what happened in a job, the newest first"),
        ("fine_tuning.jobs.retrieve", _get, "one job"),
        ("fine_tuning.jobs.follow", _follow, "follow a job until it is over"),
        ("fine_tuning.jobs.cancel", _cancel, "end a job before its time"),
        ("fine_tuning.jobs.pause", _pause, "stop a job for a while"),
        ("fine_tuning.jobs.resume", _resume, "let a paused job go on"),
        ("fine_tuning.jobs.list_events", _events, "what happened in a job, the newest first"),
        ("fine_tuning.jobs.list_checkpoints", _checkpoints, "the models of the last epochs"),
    )
    parsers = add_words(commands, "the job's id: ftjob-…", words)
    pages = [parser for parser in parsers.values() if parser.get_default("run") in (_events, _checkpoints)]
    for word in ("fine_tuning.job.list", "fine_tuning.jobs.list"):
        pages.append(commands.add_parser(word, help="all jobs, the newest first"))
        pages[-1].set_defaults(run=_list)
    for parser in pages:
        parser.add_argument("-a", "--after", metavar="ID", help="only what comes behind this one in the list")
        parser.add_argument("-l", "--limit", type=int, metavar="N", help="N of them at most")


def _register_create(commands: argparse._SubParsersAction) -> None:
    job = commands.add_parser("fine_tuning.job.create", help="start a fine-tuning job")
    add_files(job)
    job.add_argument("--n_epochs", type=int, help="how often the model reads all examples")
    job.set_defaults(run=_create, hyperparameters=None)
    jobs = commands.add_parser("fine_tuning.jobs.create", help="start a fine-tuning job")
    jobs.add_argument("-m", "--model", required=True, help="the model to train")
    jobs.add_argument(
        "-F", "--training-file", required=True, metavar="FILE", help="examples: an id, a path or a URL"
    )
    jobs.add_argument("-V", "--validation-file", metavar="FILE", help="examples to measure the model on")
    jobs.add_argument("-s", "--suffix", help="a word for the trained model's name")
    jobs.add_argument("-H", "--hyperparameters", metavar="JSON", help="""such as  '{"n_epochs": 3}'""")
    jobs.set_defaults(run=_create, n_epochs=None, check_if_files_exist=True)


def _create(arguments: argparse.Namespace) -> int:
    require(arguments.training_file, arguments.validation_file)
    hyperparameters = _hyperparameters(arguments)
    client = client_for(arguments)
    from openai_command.endpoints import Today

    options = {"model": arguments.model, "suffix": arguments.suffix, **hyperparameters}
    request = Today(client).request({name: value for name, value in options.items() if value is not None})
    files = TrainingFiles(client, note, arguments.check_if_files_exist)
    for name in ("training_file", "validation_file"):
        if named := getattr(arguments, name):
            request[name] = files.id_of(named)
            client.files.wait_for_processing(request[name])
    return show(Today(client).create(request))


def _hyperparameters(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.hyperparameters is None:
        return {"n_epochs": arguments.n_epochs}
    try:
        found = json.loads(arguments.hyperparameters)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise LessonError(
            f"""-H takes an object in JSON, such as  '{{"n_epochs": 3}}' , not {arguments.hyperparameters}"""
        )
    return found


def _paging(arguments: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {"after": arguments.after} if arguments.after else {}
    if arguments.limit is not None:
        if arguments.limit < 1:
            raise LessonError("--limit must be 1 or more.")
        found["limit"] = min(arguments.limit, _MOST_ON_A_PAGE)
    return found


def _list(arguments: argparse.Namespace) -> int:
    paging = _paging(arguments)
    return show_list(islice(client_for(arguments).fine_tuning.jobs.list(**paging), arguments.limit))


def _events(arguments: argparse.Namespace) -> int:
    paging = _paging(arguments)
    found = client_for(arguments).fine_tuning.jobs.list_events(arguments.id, **paging)
    return show_list(islice(found, arguments.limit))


def _checkpoints(arguments: argparse.Namespace) -> int:
    paging = _paging(arguments)
    found = client_for(arguments).fine_tuning.jobs.checkpoints.list(arguments.id, **paging)
    return show_list(islice(found, arguments.limit))


def _get(arguments: argparse.Namespace) -> int:
    return show(client_for(arguments).fine_tuning.jobs.retrieve(arguments.id))


def _results(arguments: argparse.Namespace) -> int:
    client = client_for(arguments)
    print(results(client, client.fine_tuning.jobs.retrieve(arguments.id).to_dict(mode="json")), end="")
    return 0


def _follow(arguments: argparse.Namespace) -> int:
    follow(client_for(arguments), arguments, arguments.id, "fine_tuning.jobs")
    return 0


def _cancel(arguments: argparse.Namespace) -> int:
    return show(client_for(arguments).fine_tuning.jobs.cancel(arguments.id))


def _pause(arguments: argparse.Namespace) -> int:
    return show(client_for(arguments).fine_tuning.jobs.pause(arguments.id))


def _resume(arguments: argparse.Namespace) -> int:
    return show(client_for(arguments).fine_tuning.jobs.resume(arguments.id))
