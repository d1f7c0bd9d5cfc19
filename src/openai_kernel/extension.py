"""What the lesson adds to a shell: in its own kernel from the start, elsewhere with ``%load_ext openai_lesson``.

In a stock kernel all is the same, with these limits: what was shown and written into the history before the
extension was loaded stays as it was, and so does what the kernel sends while it starts. In a terminal there are
no messages to mask: there, only the history is kept clean.
"""

from __future__ import annotations

from typing import Any

from openai_command.redaction import Secrets
from openai_kernel.connecting import Connection
from openai_kernel.guard import stop_keys
from openai_kernel.history import keep_clean
from openai_kernel.lines import transform
from openai_kernel.magics import LessonMagics
from openai_kernel.outgoing import mask_session

_LOADED = "openai_lesson_loaded"


def load(shell: Any) -> None:
    """Add everything to a shell, unless it is there."""
    if getattr(shell, _LOADED, False):
        return
    setattr(shell, _LOADED, True)
    kernel = getattr(shell, "kernel", None)
    secrets = mask_session(kernel.session).secrets if kernel else Secrets()
    manager = shell.input_transformer_manager
    manager.cleanup_transforms.insert(0, stop_keys(secrets))
    manager.cleanup_transforms.append(transform)
    keep_clean(shell, secrets)
    shell.register_magics(LessonMagics(shell, secrets))
    connection = Connection(secrets)
    connection.arrange()
    shell.events.register("pre_run_cell", lambda *_: connection.settings.take())
