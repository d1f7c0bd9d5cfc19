"""The helper module of the lesson: connect, train, ask, verify.

A learner writes::

    import openai_lesson as lesson

    client = lesson.connect()
    job = lesson.start(client, "Westminster_Catechism_prepared.jsonl")
    job = lesson.follow(client, job)
    lesson.ask(client, "What is the chief end of man?", job.fine_tuned_model)

Everything goes through the official `openai` client, which `connect` returns; nothing here is needed to use it.
Each name is fetched from its module when it is first used, so that a cell loads only what it needs.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openai_data as prepare
    from openai_data.errors import LessonError
    from openai_data.token_view import show_example, show_tokens
    from openai_lesson import at_openai, catechism, cluster, keys, squad
    from openai_lesson.asking import ask, compare, how_sure
    from openai_lesson.connection import connect, host
    from openai_lesson.exercises import check
    from openai_lesson.local import doctor
    from openai_lesson.playground import playground
    from openai_lesson.training import follow, latest_model, start
    from openai_lesson.verifying import verify

_MODULES = {"prepare": "openai_data"} | {
    name: f"{__name__}.{name}" for name in ("at_openai", "catechism", "cluster", "keys", "squad")
}
_PLACES = {
    "openai_data.errors": ("LessonError",),
    "openai_data.token_view": ("show_example", "show_tokens"),
    "openai_lesson.asking": ("ask", "compare", "how_sure"),
    "openai_lesson.connection": ("connect", "host"),
    "openai_lesson.exercises": ("check",),
    "openai_lesson.local": ("doctor",),
    "openai_lesson.playground": ("playground",),
    "openai_lesson.training": ("follow", "latest_model", "start"),
    "openai_lesson.verifying": ("verify",),
}
__all__ = sorted([*_MODULES, *(name for names in _PLACES.values() for name in names)])


def __getattr__(name: str) -> Any:
    """Fetch a name from its module."""
    if name in _MODULES:
        return import_module(_MODULES[name])
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What completion in a notebook offers."""
    return sorted([*globals(), *__all__])


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext openai_lesson`` does: the kernel "OpenAI" in another Python kernel."""
    shell.extension_manager.load_extension("openai_kernel")


if "ipykernel" in sys.modules:
    from openai_data.local_cli import put_commands_first

    put_commands_first()
