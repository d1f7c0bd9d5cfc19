"""What the kernel "OpenAI" adds to IPython, also in another Python kernel: there with ``%load_ext openai_lesson``.

In a stock kernel all is the same, with these limits: what was shown and written into the history before the
extension was loaded stays as it was, and so does what the kernel sends while it starts. In a terminal there are
no messages to mask: there, only the history is kept clean.
"""

from typing import Any

from openai_command.redaction import Secrets
from openai_data.local_cli import put_commands_first
from openai_kernel.connecting import Connection
from openai_kernel.lines import transform
from openai_kernel.magics import LessonMagics
from openai_kernel.masking import MaskedSend, mask_history, stop_keys


def load_ipython_extension(shell: Any) -> None:
    """Add everything to a shell, unless it is there."""
    if hasattr(shell, "openai_lesson_loaded"):
        return
    shell.openai_lesson_loaded = True
    put_commands_first()
    secrets = Secrets()
    if kernel := getattr(shell, "kernel", None):
        kernel.session.send = MaskedSend(kernel.session, secrets)
    manager = shell.input_transformer_manager
    manager.cleanup_transforms.insert(0, stop_keys(secrets))
    manager.cleanup_transforms.append(transform)
    mask_history(shell, secrets)
    shell.register_magics(LessonMagics(shell, secrets))
    connection = Connection(secrets)
    connection.arrange()
    shell.events.register("pre_run_cell", lambda *_: connection.settings.take())
