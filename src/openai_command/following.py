"""Following a fine-tune in the terminal until it is over, or until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from openai_command.clients import typed
from openai_command.printing import say, tell
from openai_data.errors import LessonError

if TYPE_CHECKING:
    import openai
    from openai.types.fine_tuning import FineTuningJob

    from openai_lesson.watching import Watcher


def follow(
    client: openai.OpenAI, arguments: argparse.Namespace, id_: str, words: str, kind: type[Watcher] | None = None
) -> bool:
    """Show the events of a fine-tune as they come, with a bar where there is a terminal.

    Ctrl-C ends the showing, not the training.

    Args:
        client: from `client_for`.
        arguments: the command's, for what is suggested.
        id_: the fine-tune's id.
        words: the group of words that it belongs to: ``fine_tunes`` or ``fine_tuning.jobs``.
        kind: what watches it (nothing: today's events are told).

    Returns:
        Whether there is a model now. Otherwise Ctrl-C was pressed.

    Raises:
        LessonError: it failed or was cancelled, or the connection was lost for too long.
    """
    from openai_lesson.watching import Watcher

    again = typed(arguments, f"api {words}.follow -i {id_}")
    watcher = (kind or Watcher)(client, id_, tell=tell, come_back=again, bar=sys.stderr.isatty())
    try:
        job = watcher.watch()
    except KeyboardInterrupt:
        print(
            f"\nStream interrupted. Job is still {watcher.job.status}.\nTo resume the stream, run:\n\n"
            f"  {again}\n\nTo cancel your job, run:\n\n  {typed(arguments, f'api {words}.cancel -i {id_}')}\n"
        )
        return False
    _over(client, arguments, job, id_)
    return True


def _over(client: openai.OpenAI, arguments: argparse.Namespace, job: FineTuningJob, id_: str) -> None:
    from openai_lesson.connection import host
    from openai_lesson.watching import reason

    if job.status == "failed":
        raise LessonError(f"The fine-tune {id_} failed: {reason(job)}")
    if job.status == "cancelled":
        raise LessonError(f"The fine-tune {id_} was cancelled, so there is no model.")
    ask = "completions.create -m {} -p <YOUR_PROMPT>"
    if host(client).chat:
        ask = "chat.completions.create -m {} -g user <YOUR_PROMPT>"
    words = typed(arguments, f"api {ask.format(job.fine_tuned_model)}")
    say(f"\nJob complete! Status: succeeded 🎉\nTry out your fine-tuned model:\n\n{words}")
