"""Everything that leaves the kernel passes here, and loses its secrets.

A kernel sends all its messages with `Session.send`: what is printed, results, pictures, HTML, errors, the
output of ``!`` commands, answers to the notebook. `Outgoing` stands in front of that method.

Printed text arrives in pieces. If a piece ends as a secret begins, that end is held back until more is printed,
until anything else is sent, until the cell ends, or for a second. Within one stream no text is lost or
reordered. What was sent is remembered, too: a secret whose beginning went out is still recognized, and the rest
is hidden.

Not touched: what widgets send (``comm_…``: their values are theirs, so a secret in a widget stays there),
requests, and pictures and sound.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_client.session import Session

from openai_command.redaction import MASK, Secrets, cover

HELD_SECONDS = 1.0
_REMEMBERED = 400
"""How much of what was sent is remembered: more than any key has characters."""
_BINARY = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "video/", "application/pdf")
_WIDGET = "application/vnd.jupyter.widget"
_SHOWN = {"display_data", "update_display_data", "execute_result", "error", "clear_output", "input_request"}

Send = Callable[..., Any]


@dataclass
class _Printed:
    """The end of what one cell printed on one stream: what was sent, and what is held back."""

    send: Callable[[str], Any]
    sent: str = ""
    held: str = ""
    since: float = 0.0


class Outgoing:
    """What stands in front of `Session.send`, with the same arguments."""

    def __init__(self, session: Session, send: Send, secrets: Secrets) -> None:
        """Mask what `send`, the method of `session`, is given."""
        self._session, self._send, self.secrets = session, send, secrets
        self._streams: dict[tuple[str, str], _Printed] = {}
        self._renew_lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)

    def __call__(self, stream: Any, msg_or_type: Any, content: Any = None, *args: Any, **more: Any) -> Any:
        """Send a message without its secrets."""
        message = msg_or_type if isinstance(msg_or_type, dict) else None
        kind = message["header"]["msg_type"] if message else msg_or_type
        body = message["content"] if message else content
        if kind == "stream" and message and not self.secrets.shown:
            return self._print(stream, message, more)
        if kind in _SHOWN or (kind == "status" and body.get("execution_state") == "idle"):
            self.release()
        if body and not self.secrets.shown and _is_masked(kind):
            self.secrets.refresh()
            body = masked(body, self.secrets.mask)
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
        content = message["content"]
        parent = message["parent_header"].get("msg_id", "")

        def send(text: str) -> Any:
            again = self._session.msg("stream", {**content, "text": text}, parent=message["parent_header"])
            return self._send(stream, again, **more)

        with self._lock:
            self.secrets.refresh()
            printed = self._of(content["name"], parent, send)
            text = self._next(printed, content["text"])
            if printed.held:
                printed.since = time.monotonic()
                self._release_later(stream)
            return send(text) if text else None

    def _of(self, name: str, parent: str, send: Callable[[str], Any]) -> _Printed:
        """What is known of a stream. Only the last few cells are remembered."""
        printed = self._streams.pop((name, parent), None) or _Printed(send)
        printed.send = send
        self._streams[name, parent] = printed
        while len(self._streams) > 8:
            self._let_go(self._streams.pop(next(iter(self._streams))))
        return printed

    def _next(self, printed: _Printed, text: str) -> str:
        """What can be sent now."""
        before = len(printed.sent)
        whole = printed.sent + printed.held + text
        spans = self.secrets.spans(whole)
        cut = max(before, self.secrets.unfinished(whole))
        cut = min([start for start, end in spans if before <= start < cut < end], default=cut)
        printed.held = whole[cut:]
        printed.sent = whole[:cut][-_REMEMBERED:]
        inside = [(max(start, before), min(end, cut)) for start, end in spans if end > before and start < cut]
        return cover(whole[:cut], inside)[before:]

    def _let_go(self, printed: _Printed) -> None:
        held, printed.held = printed.held, ""
        if not held:
            return
        whole = printed.sent + held
        before = len(printed.sent)
        spans = [(max(start, before), end) for start, end in self.secrets.spans(whole) if end > before]
        text = MASK if self.secrets.begun(held) else cover(whole, spans)[before:]
        printed.sent = whole[-_REMEMBERED:]
        printed.send(text)

    def _release_later(self, stream: Any) -> None:
        loop = getattr(stream, "io_loop", None)
        if loop is not None:
            loop.add_callback(loop.call_later, HELD_SECONDS + 0.1, self.release, HELD_SECONDS)


class MaskingSession(Session):
    """A session that hides secrets in what it sends."""

    def __init__(self, **settings: Any) -> None:
        """Takes the settings of any session."""
        super().__init__(**settings)
        self.outgoing = Outgoing(self, super().send, Secrets())

    def send(self, *args: Any, **more: Any) -> Any:
        """Send a message without its secrets."""
        return self.outgoing(*args, **more)


def mask_session(session: Session) -> Outgoing:
    """Put masking in front of a session that sends already, unless it is there. Returns it."""
    outgoing = getattr(session, "outgoing", None)
    if outgoing is None:
        outgoing = Outgoing(session, session.send, Secrets())
        session.outgoing, session.send = outgoing, outgoing  # type: ignore[attr-defined, method-assign]
    return outgoing


def masked(value: Any, mask: Callable[[str], str]) -> Any:
    """A value as JSON knows it, with all its texts masked. What does not change is not copied."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        new: Any = {mask(k) if isinstance(k, str) else k: _of_its_kind(k, v, mask) for k, v in value.items()}
    elif isinstance(value, list | tuple):
        new = [masked(item, mask) for item in value]
    else:
        return value
    return new


def _of_its_kind(name: Any, value: Any, mask: Callable[[str], str]) -> Any:
    untouched = isinstance(name, str) and (name.startswith(_BINARY) or name.startswith(_WIDGET))
    return value if untouched else masked(value, mask)


def _is_masked(kind: str) -> bool:
    if kind.endswith("_request"):
        return kind == "input_request"
    return not kind.startswith("comm_") and kind not in ("status", "kernel_info_reply")
