"""IPython's history database, without secrets.

IPython writes each cell into ``history.sqlite`` before it runs it. Here it is written after the cell: what the
cell made secret (``export MY_TOKEN=…``) is known by then. What is in memory (``In``, ``_i``) is left as it is.
"""

from __future__ import annotations

from typing import Any

from openai_command.redaction import Secrets

_MANY = 10_000


def keep_clean(shell: Any, secrets: Secrets) -> None:
    """Hide secrets in what a shell writes into its history."""
    history = shell.history_manager
    write = history.writeout_cache

    def write_masked(*args: Any, **more: Any) -> None:
        secrets.refresh()
        mask = secrets.mask
        with history.db_input_cache_lock:
            history.db_input_cache = [(n, mask(cell), mask(raw)) for n, cell, raw in history.db_input_cache]
        with history.db_output_cache_lock:
            history.db_output_cache = [(n, mask(output)) for n, output in history.db_output_cache]
        write(*args, **more)

    def write_now(*_: Any) -> None:
        if history.enabled and history.db_input_cache:
            history.writeout_cache()

    history.writeout_cache = write_masked
    history.db_cache_size = _MANY
    shell.events.register("post_run_cell", write_now)
