"""The lesson's magics: ``%%ask``, ``%jobs``, ``%key``, ``%masking``, and those behind the shell-style lines.

Braces and dollar signs in the lines are not Python's here: what is typed goes to the command as in a terminal.
The client is imported when a magic needs it: the kernel starts faster so.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.utils.process import system

from openai_command.redaction import SWITCH, Secrets
from openai_data.errors import LessonError
from openai_figures import visible
from openai_figures.tables import Listing
from openai_lesson import keys

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob


@magics_class
class LessonMagics(Magics):
    """What the lesson adds to a notebook."""

    def __init__(self, shell: Any, secrets: Secrets) -> None:
        """Add them to a shell; `secrets` is what ``%masking`` switches."""
        super().__init__(shell)
        self._secrets = secrets

    @no_var_expand
    @line_magic
    def openai(self, line: str) -> None:
        """Run the command ``openai`` of the lesson:  %openai api models.list"""
        program = subprocess.list2cmdline([sys.executable, "-P", "-m", "openai_command.openai"])
        self.shell.user_ns["_exit_code"] = system(f"{program} {line}")

    @no_var_expand
    @line_magic
    def export(self, line: str) -> None:
        """Set a variable of the environment, as in a terminal:  export NAME=value"""
        try:
            words = shlex.split(re.sub(r"\$\(([^()]*)\)", _output, line), comments=True)
        except ValueError:
            raise LessonError(f"A quotation mark is not closed:  export {line}") from None
        for word in words:
            name, sign, value = word.partition("=")
            if not sign or not name.isidentifier() or value.endswith(";"):
                raise LessonError(
                    f"{word!r} can't be understood. One such line sets variables:  export NAME=value"
                )
            os.environ[name] = os.path.expanduser(value if "'" in line else os.path.expandvars(value))  # noqa: PTH111

    @no_var_expand
    @line_magic
    def lesson_pip(self, line: str) -> None:
        """What a line ``pip …`` in a cell does: %pip, but the package openai is left as it is."""
        words = line.split()
        others = [word for word in words if not re.fullmatch(r"['\"]?openai(\[.*\])?([=<>~!].*)?['\"]?", word)]
        if words[:1] != ["install"] or others == words:
            self.shell.run_line_magic("pip", line)
            return
        print(
            f"The package openai {version('openai')} is here already, so it was not installed again. "
            f"The lesson is made for this version. To change it in spite of that:  %pip {line}"
        )
        if any(not word.startswith("-") for word in others[1:]):
            self.shell.run_line_magic("pip", " ".join(others))

    @line_magic
    def key(self, line: str) -> None:
        """Ask for a key with a hidden prompt, and keep it:  %key   or   %key NAME"""
        keys.ask(line.strip() or "openai")

    @line_magic
    def jobs(self, line: str) -> Listing | None:
        """Show the training jobs:  %jobs   (the last ten)   or   %jobs 50"""
        import openai
        import pandas as pd

        if line.strip() and not line.strip().isdigit():
            raise LessonError("%jobs takes a number:  %jobs 20")
        number = int(line.strip() or 10)
        found = openai.OpenAI().fine_tuning.jobs.list(limit=min(number, 100))
        table = pd.DataFrame([_row(job) for job in islice(found, number)])
        if table.empty:
            print("There is no training job yet.")
            return None
        return Listing(table, tuple(max(map(len, [name, *table[name]])) for name in table))

    @magic_arguments()
    @argument("model", nargs="?", help="the model (nothing: the one that was trained last)")
    @argument("--max-tokens", type=int, default=200, help="how long the answer may become (200)")
    @argument("--temperature", type=float, default=0.0, help="0 for the likeliest answer, up to 2 for surprises")
    @cell_magic
    def ask(self, line: str, cell: str) -> None:
        """Send the cell's text to a model and print the answer while it comes."""
        import openai

        from openai_lesson.asking import stream
        from openai_lesson.training import latest_model

        given = vars(parse_argstring(self.ask, line))
        if not cell.strip():
            raise LessonError("There is nothing to ask. Write the question into the lines below %%ask.")
        client = openai.OpenAI()
        model = given.pop("model") or latest_model(client)
        trained = model.startswith("ft:") or ":ft-" in model
        try:
            # A trained model is asked as its host trains, any other in a conversation.
            for token in stream(client, cell.strip(), model, chat=None if trained else True, **given):
                print(token.text, end="", flush=True)
        except openai.NotFoundError as error:
            names = ", ".join(known.id for known in client.models.list())
            message = error.body["message"] if isinstance(error.body, dict) else error
            raise LessonError(f"{message}\nThere are: {names}") from None
        print()

    @line_magic
    def masking(self, line: str) -> None:
        """Hide secrets in what the notebook shows (on), or not (off):  %masking off"""
        word = line.strip().lower()
        if word not in ("", "on", "off"):
            raise LessonError("Say  %masking on,  %masking off,  or  %masking  to see what holds.")
        self._secrets.shown = word == "off" if word else self._secrets.shown
        if self._secrets.shown:
            print(
                "Masking is off. Keys and passwords that a cell prints are shown, and saved with the notebook. "
                "Cells with keys in them run, and are kept in the history. Back:  %masking on"
            )
        else:
            print(f"Masking is on. Keys and passwords are hidden. ({SWITCH}=off turns it off from the start.)")


def _output(found: re.Match[str]) -> str:
    """What a command prints, as one word."""
    done = subprocess.run(found[1], shell=True, stdout=subprocess.PIPE, text=True)  # noqa: S602 - the user typed it
    return shlex.quote(done.stdout.strip())


def _row(job: "FineTuningJob") -> dict[str, str]:
    prospect = job.fine_tuned_model or (job.error.message if job.error else "") or ""
    if not prospect and job.estimated_finish is not None:  # it runs
        prospect = f"ready in about {max(0, round(job.estimated_finish - time.time()))} s"
    created = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.created_at))
    row = {"job": job.id, "created": created, "status": job.status, "model": job.model}
    row["what comes of it"] = prospect
    return {title: visible.line(text) for title, text in row.items()}
