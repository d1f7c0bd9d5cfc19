"""Addresses: whether one is this machine's own, which port is free, and what learners type."""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from openai_local.errors import LocalError
from openai_local.home import Home

if TYPE_CHECKING:
    from openai_local.service.settings import Settings

_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - to know it, not to listen there
_SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses that nobody has (RFC 5737 and 3849). They only serve to ask by which way one would go there."""


def is_this_machine(host: str) -> bool:
    """Whether only programs of this machine can reach a service that listens there."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host or None, None)} if host else set()
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def is_plain(text: str) -> bool:
    """Whether a part of an address can be typed into any shell as it is."""
    return re.fullmatch(r"[A-Za-z0-9:/.\-_~%\[\]]*", text) is not None


def on_network(host: str) -> str:
    """What others type for a service that listens on `host`: this machine's address where it listens on all.

    Nothing is sent to find it: a datagram socket is only told where it would send to.
    """
    if host not in _EVERYWHERE:
        return host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_SOMEWHERE[family], 9))
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()


def for_learners(settings: Settings, typed: str | None) -> str:
    """The base URL that learners type.

    Args:
        settings: where the service listens.
        typed: another address, such as a proxy's; with or without ``/v1`` at its end.

    Raises:
        LocalError: it is no address.
    """
    if typed is None:
        host = on_network(settings.host)
        scheme = "https" if settings.certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}{settings.prefix}/v1"
    host_of(typed)
    bare = typed.rstrip("/").removesuffix("/v1")
    return f"{bare if urlsplit(bare).path else bare + settings.prefix}/v1"


def host_of(typed: str) -> str:
    """The name in an address that somebody typed for ``--url``.

    Raises:
        LocalError: it is no address.
    """
    try:
        parts = urlsplit(typed)
        name = parts.hostname if parts.scheme in ("http", "https") and (parts.port or 1) > 0 else None
    except ValueError:
        name = None
    if not name or not is_plain(typed):
        raise LocalError(f"{typed!r} is no address for --url. One looks like  https://lesson.example.org")
    return name


def free_port(home: Home, host: str, port: int) -> int:
    """The port to listen on, which is told before the service listens: `port`, or a free one for 0.

    Raises:
        LocalError: a service has this home already, or the port can't be had.
    """
    try:
        with FileLock(home.lock, timeout=0):
            pass
    except Timeout:
        raise LocalError(f"{home.taken()} Stop it first:  openai-local stop") from None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise LocalError(
                f"Can't listen on {host}:{port}: {error.strerror}. Choose another port with --port."
            ) from None
        return int(probe.getsockname()[1])
