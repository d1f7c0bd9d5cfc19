"""The doctor: is this machine ready for the lesson? A line for each thing: OK, or what is wrong and what mends it.

Each check is a function in a module named after what it looks at; it returns its finding or findings. Nothing is
changed, started or fetched. A check that itself breaks is a finding too, never a traceback.

What a learner can send to the instructor is a report: the findings and facts about the system, without secrets.
Hidden are keys and tokens (as in the kernel's outputs), who logs in at a proxy, the user's folder, and the names
of the user and of the machine.
"""

import getpass
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from jupyter_core.paths import jupyter_path

from openai_command.doctor import environment, hosts, kernels, machine, remedies
from openai_command.doctor.remedies import Finding, warning, wrong
from openai_command.redaction import Secrets
from openai_data.atomic_write import write_whole
from openai_data.errors import LessonError

CHECKS: dict[str, Callable[[], Finding | Iterable[Finding]]] = {
    "Python": environment.interpreter,
    "the environment": environment.environment,
    "the packages": environment.packages,
    "the kernel": kernels.kernels,
    "the compiled packages": machine.compiled,
    "the base model": hosts.base,
    "the memory": machine.memory,
    "the disk": machine.disk,
    "the processor": machine.processor,
    "the folders": machine.folders,
    "the proxies": hosts.proxies,
    "the service": hosts.service,
    "the address": hosts.address,
    "the keys": hosts.key,
}
_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")
_VARIABLES = re.compile(r"(OPENAI|JUPYTER|CONDA|VIRTUAL_ENV|PIP|SLURM_JOB|PYTHON).*|.*_PROXY|PATH|LANG|LC_ALL")


def examine() -> Iterator[Finding]:
    """The findings, each as soon as it is known, without secrets."""
    for what, check in CHECKS.items():
        try:
            found = check()
            findings = [found] if isinstance(found, Finding) else list(found)
        except LessonError as error:
            findings = [wrong(f"The check of {what} was stopped: {error}")]
        except Exception as error:  # whatever it is, the learner gets a sentence and the other checks
            said = f"{type(error).__name__}: {' '.join(str(error).split())}"
            findings = [warning(f"The check of {what} itself broke ({said}). Tell your instructor.")]
        for finding in findings:
            yield Finding(finding.state, without_secrets(finding.text), without_secrets(finding.mend))


def write_report(path: Path, findings: Sequence[Finding]) -> None:
    """Write the report, whole or not at all: if it can't be written, that is a `LessonError`."""
    title = f"openai-lesson doctor, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    text = "\n".join([title, "", *map(str, findings), "", *_facts(), ""])
    write_whole(path, _without_names(without_secrets(text)))


def _facts() -> Iterator[str]:
    """What is known of the system, one thing a line."""
    yield f"openai-lesson {version('openai-lesson')}, {platform.platform()}"
    yield f"Python {sys.version}".replace("\n", " ")
    yield f"Python's program: {sys.executable} ({remedies.kind()})"
    yield f"Jupyter looks for kernels in: {', '.join(jupyter_path('kernels'))}"
    yield from (f"kernel {name}: {it.folder}: {' '.join(it.argv)}" for name, it in kernels.visible().items())
    names = sorted({requirement.name for requirement in environment.needed()})
    yield "Packages: " + ", ".join(f"{name} {environment.installed(name) or 'missing'}" for name in names)
    yield from (
        f"{name}={value}" for name, value in sorted(os.environ.items()) if _VARIABLES.fullmatch(name.upper())
    )


def without_secrets(text: str) -> str:
    """The text without keys, tokens and who logs in at a proxy."""
    secrets = Secrets()
    secrets.shown = False  # masking may be off in notebooks; a report is sent to someone else
    return _LOGIN.sub("[secret]@", secrets.mask(text))


def _without_names(text: str) -> str:
    """The text without the user's folder, the user's name in other paths, and the machine's name."""
    for home in {str(Path.home()), str(Path.home().resolve())} - {"/"}:
        text = re.sub(re.escape(home) + r"(?![\w.-])", "~", text, flags=re.IGNORECASE if remedies.WINDOWS else 0)
    with suppress(OSError, KeyError, ImportError):  # a container without a list of users
        text = re.sub(rf"(?<=[/\\]){re.escape(getpass.getuser())}(?![\w.-])", "~", text)
    if here := platform.node():
        text = re.sub(rf"(?<![\w.-]){re.escape(here)}(?![\w-])", "[this machine]", text)
    return text
