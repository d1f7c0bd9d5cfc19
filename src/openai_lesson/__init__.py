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
    import openai_data as prepare
    from openai_data.errors import LessonError
    from openai_lesson import at_openai, catechism, cluster, keys, squad
    from openai_lesson.asking import ask, compare
    from openai_lesson.connection import Host, connect, host
    from openai_lesson.exercises import check
    from openai_lesson.local import doctor
    from openai_lesson.playground import playground
    from openai_lesson.probabilities import how_sure
    from openai_lesson.tokens import show_example, show_tokens
    from openai_lesson.training import export, follow, history, latest, latest_model, start, upload
    from openai_lesson.verifying import Recall, Verification, recall, verify

_PLACES = {
    "openai_data.errors": ("LessonError",),
    "openai_lesson.asking": ("ask", "compare"),
    "openai_lesson.connection": ("Host", "connect", "host"),
    "openai_lesson.exercises": ("check",),
    "openai_lesson.local": ("doctor",),
    "openai_lesson.playground": ("playground",),
    "openai_lesson.probabilities": ("how_sure",),
    "openai_lesson.tokens": ("show_example", "show_tokens"),
    "openai_lesson.training": ("export", "follow", "history", "latest", "latest_model", "start", "upload"),
    "openai_lesson.verifying": ("Recall", "Verification", "recall", "verify"),
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
    "squad",
    "start",
    "upload",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Fetch a name from its module."""
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(module), name)
    if name in __all__:
        return import_module("openai_data" if name == "prepare" else f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext openai_lesson`` does: the kernel "OpenAI" in another Python kernel."""
    shell.extension_manager.load_extension("openai_kernel")


def __dir__() -> list[str]:
    """What completion in a notebook offers."""
    return sorted([*globals(), *__all__])
