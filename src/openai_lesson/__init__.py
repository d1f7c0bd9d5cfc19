"""The helper module of the lesson: prepare data, connect, train, ask, compare.

A learner writes::

    import openai_lesson as lesson

    client = lesson.connect()
    job = lesson.start(client, "Westminster_Catechism_prepared.jsonl")
    job = lesson.follow(client, job)
    lesson.ask(client, "What is the chief end of man?", job.fine_tuned_model)

Everything goes through the official `openai` client, which `connect` returns; nothing here is needed to use it.
Each name is fetched from its module when it is first used: the commands need few of them, and start faster so.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai_lesson import at_openai, catechism, cluster, keys, prepare
    from openai_lesson.asking import ask, compare
    from openai_lesson.asking.playing import playground
    from openai_lesson.asking.probabilities import how_sure
    from openai_lesson.checks import doctor
    from openai_lesson.connection import Host, connect, host
    from openai_lesson.epochs import history
    from openai_lesson.errors import LessonError
    from openai_lesson.exporting import export
    from openai_lesson.notebooks.exercises import check
    from openai_lesson.tokens import show_example, show_tokens
    from openai_lesson.tuning import follow, latest, latest_model, start
    from openai_lesson.uploading import upload
    from openai_lesson.verifying import Recall, Verification, recall, verify

_MODULES = {
    "asking": ("ask", "compare"),
    "asking.playing": ("playground",),
    "asking.probabilities": ("how_sure",),
    "checks": ("doctor",),
    "connection": ("Host", "connect", "host"),
    "errors": ("LessonError",),
    "notebooks.exercises": ("check",),
    "epochs": ("history",),
    "exporting": ("export",),
    "tokens": ("show_example", "show_tokens"),
    "tuning": ("follow", "latest", "latest_model", "start"),
    "uploading": ("upload",),
    "verifying": ("Recall", "Verification", "recall", "verify"),
}

__all__ = [
    "Host",
    "LessonError",
    "Recall",
    "Verification",
    "ask",
    "at_openai",
    "catechism",
    "check",
    "cluster",
    "compare",
    "connect",
    "doctor",
    "export",
    "follow",
    "history",
    "host",
    "how_sure",
    "keys",
    "latest",
    "latest_model",
    "playground",
    "prepare",
    "recall",
    "show_example",
    "show_tokens",
    "start",
    "upload",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Fetch a name from its module."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext openai_lesson`` does: the kernel "OpenAI" in another Python kernel."""
    from openai_lesson.kernel.extension import load

    load(shell)


def __dir__() -> list[str]:
    """What completion in a notebook offers."""
    return sorted([*globals(), *__all__])
