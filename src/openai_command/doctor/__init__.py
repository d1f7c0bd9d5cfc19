"""The doctor: is this machine ready for the lesson? One line each: OK, or what is wrong and what mends it.

Each check is a function in a module named after what it looks at; it returns its line or lines. Nothing is
changed, started or fetched. A check that itself breaks is a line too, never a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape

from openai_command.doctor import folders, interpreter, kernels, machine, proxies, secrets, service, versions
from openai_command.doctor.line import Line, State, warning, wrong
from openai_command.doctor.report import without_secrets
from openai_data.errors import LessonError

Check = Callable[[], Line | Iterable[Line]]

CHECKS: dict[str, Check] = {
    "Python": interpreter.interpreter,
    "the environment": interpreter.environment,
    "the packages": versions.versions,
    "the kernel": kernels.kernels,
    "the compiled packages": machine.compiled,
    "the base model": service.base,
    "the memory": machine.memory,
    "the disk": lambda: machine.disk(folders.service_folders()[0]),
    "the processor": machine.processor,
    "the folders": folders.folders,
    "the proxies": proxies.proxies,
    "the service": service.service,
    "the address": service.address,
    "the keys": secrets.key,
}


@dataclass(frozen=True)
class Diagnosis:
    """All lines of the doctor. A notebook shows it as a table."""

    lines: tuple[Line, ...]

    @property
    def ready(self) -> bool:
        """Whether nothing is wrong; warnings don't count."""
        return not any(line.state is State.WRONG for line in self.lines)

    def __repr__(self) -> str:
        """As the command prints it."""
        return "\n".join(map(str, self.lines))

    def _repr_html_(self) -> str:
        rows = (
            f'<tr><td><b>{line.state}</b></td><td style="text-align: left">{escape(line.text)}'
            f"{f'<br><code>{escape(line.mend)}</code>' if line.mend else ''}</td></tr>"
            for line in self.lines
        )
        return f"<table>{''.join(rows)}</table>"


def doctor() -> Diagnosis:
    """Look at this machine and say, line by line, whether it is ready for the lesson."""
    return Diagnosis(tuple(examine()))


def examine() -> Iterator[Line]:
    """The lines, each as soon as it is known, without secrets."""
    for what, check in CHECKS.items():
        for line in _carefully(what, check):
            yield Line(line.state, without_secrets(line.text), without_secrets(line.mend))


def _carefully(what: str, check: Check) -> list[Line]:
    try:
        found = check()
        return [found] if isinstance(found, Line) else list(found)
    except LessonError as error:
        return [wrong(f"The check of {what} was stopped: {error}")]
    except Exception as error:  # whatever it is, the learner gets a sentence and the other checks
        said = " ".join(str(error).split())
        return [
            warning(f"The check of {what} itself broke ({type(error).__name__}: {said}). Tell your instructor.")
        ]
