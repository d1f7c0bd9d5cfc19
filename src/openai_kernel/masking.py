"""Secrets stay out of the notebook, out of IPython's history, and out of cells.

A kernel sends all its messages with `Session.send`: what is printed, results, pictures, HTML, errors, the
output of ``!`` commands, answers to the notebook. `MaskedSend` stands in front of that method.

Printed text arrives in pieces. If a piece ends as a secret begins, that end is held back until more is printed,
until anything else is sent, until the cell ends, or for a second. Within one stream no text is lost or
reordered. What was sent is remembered, too: a secret whose beginning went out is still recognized, and the rest
is hidden.

Not touched: what widgets send (``comm_…``: their values are theirs, so a secret in a widget stays there),
requests, and pictures and sound.
"""

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from jupyter_client.session import Session

from openai_command.redaction import MASK, Secrets, cover
from openai_data.errors import LessonError

_HELD_SECONDS = 1.0
_REMEMBERED = 400
"""How much of what was sent is remembered: more than any key has characters."""
_LEFT_ALONE = re.compile(r"image/(png|jpeg|gif|webp)|(audio|video)/|application/(pdf|vnd\.jupyter\.widget)")
_UNMASKED = re.compile(r"(?!input_request\Z).*_request|comm_.*|status|kernel_info_reply", re.S)
"""Kinds of messages that are sent as they are."""
_SHOWN = {"display_data", "update_display_data", "execute_result", "error", "clear_output", "input_request"}


@dataclass
class _Printed:
    """The end of what one cell printed on one stream: what was sent, and what is held back."""

    send: Callable[[str], Any]
    sent: str = ""
    held: str = ""
    since: float = 0.0


class MaskedSend:
    """What stands in front of a session's `send`, with the same arguments."""

    def __init__(self, session: Session, secrets: Secrets) -> None:
        """Hide `secrets` in what is sent with `session`."""
        self._session, self._send, self._secrets = session, session.send, secrets
        self._streams: dict[tuple[str, str], _Printed] = {}
        self._renew_lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)

    def __call__(self, stream: Any, msg_or_type: Any, content: Any = None, *args: Any, **more: Any) -> Any:
        """Send a message without its secrets."""
        message = msg_or_type if isinstance(msg_or_type, dict) else None
        kind = message["header"]["msg_type"] if message else msg_or_type
        body = message["content"] if message else content
        if kind == "stream" and message and not self._secrets.shown:
            return self._print(stream, message, more)
        if kind in _SHOWN or (kind == "status" and body.get("execution_state") == "idle"):
            self.release()
        if body and not self._secrets.shown and not _UNMASKED.fullmatch(kind):
            self._secrets.refresh()
            body = masked(body, self._secrets.mask)
            if message:
                msg_or_type = {**message, "content": body}
        return self._send(stream, msg_or_type, None if message else body, *args, **more)

    def release(self, seconds: float = 0.0) -> None:
        """Send what has been held back for so many seconds."""
        with self._lock:
            for printed in self._streams.values():
                if time.monotonic() - printed.since >= seconds:
                    self._let_go(printed)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def _print(self, stream: Any, message: dict[str, Any], more: dict[str, Any]) -> Any:
        """Send printed text but for an end that may become a secret."""
        content, parent = message["content"], message["parent_header"]

        def send(text: str) -> Any:
            again = self._session.msg("stream", {**content, "text": text}, parent=parent)
            return self._send(stream, again, **more)

        with self._lock:
            self._secrets.refresh()
            printed = self._of((content["name"], parent.get("msg_id", "")), send)
            text = self._next(printed, content["text"])
            if printed.held:
                printed.since = time.monotonic()
                if loop := getattr(stream, "io_loop", None):
                    loop.add_callback(loop.call_later, _HELD_SECONDS + 0.1, self.release, _HELD_SECONDS)
            return send(text) if text else None

    def _of(self, name: tuple[str, str], send: Callable[[str], Any]) -> _Printed:
        """What is known of a stream. Only the last few cells are remembered."""
        printed = self._streams[name] = self._streams.pop(name, _Printed(send))
        printed.send = send
        if len(self._streams) > 8:
            self._let_go(self._streams.pop(next(iter(self._streams))))
        return printed

    def _next(self, printed: _Printed, text: str, *, last: bool = False) -> str:
        """What can be sent now; all of it, if nothing comes after it."""
        before = len(printed.sent)
        whole = printed.sent + printed.held + text
        spans = self._secrets.spans(whole)
        cut = len(whole) if last else max(before, self._secrets.unfinished(whole))
        cut = min([start for start, end in spans if before <= start < cut < end], default=cut)
        printed.held = whole[cut:]
        printed.sent = whole[:cut][-_REMEMBERED:]
        inside = [(max(start, before), min(end, cut)) for start, end in spans if end > before and start < cut]
        return cover(whole[:cut], inside)[before:]

    def _let_go(self, printed: _Printed) -> None:
        if held := printed.held:
            text = self._next(printed, "", last=True)
            printed.send(MASK if self._secrets.begun(held) else text)


def masked(value: Any, mask: Callable[[str], str]) -> Any:
    """A value as JSON knows it, with all its texts masked."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        alone = {name for name in value if _LEFT_ALONE.match(str(name))}
        return {
            mask(name) if isinstance(name, str) else name: part if name in alone else masked(part, mask)
            for name, part in value.items()
        }
    return [masked(part, mask) for part in value] if isinstance(value, list | tuple) else value


def mask_history(shell: Any, secrets: Secrets) -> None:
    """Hide secrets in what a shell writes into its history.

    IPython writes each cell into ``history.sqlite`` before it runs it. Here it is written after the cell: what the
    cell made secret (``export MY_TOKEN=…``) is known by then. What is in memory (``In``, ``_i``) is left as it is.
    """
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
    history.db_cache_size = 10_000  # cells; with so many it is never full, and so not written before the cell ran
    shell.events.register("post_run_cell", write_now)


def stop_keys(secrets: Secrets) -> Callable[[list[str]], list[str]]:
    """What IPython does to each cell first: one with a literal key becomes a line that raises a sentence.

    Its source would be saved with the notebook.
    """

    def transform(lines: list[str]) -> list[str]:
        secrets.refresh()
        return [_INSTEAD] if secrets.typed("".join(lines)) else lines

    return transform


_INSTEAD = f"__import__({__name__!r}, fromlist=['refuse']).refuse()\n"


def refuse() -> NoReturn:
    """Raise the `LessonError` that says why a cell did not run."""
    raise LessonError(
        "This cell has a key in it, so it was not run: whoever gets the notebook gets the key.\n"
        "1. Delete the key from the cell.\n"
        "2. Enter it in a hidden prompt instead:  %key   (or: from openai_lesson import keys; keys.ask())\n"
        "   It is kept in a file that only you can read.\n"
        '3. Use it:  client = openai_lesson.connect("openai")\n'
        "If the notebook was shared or uploaded with the key, make a new key and switch the old one off."
    )
