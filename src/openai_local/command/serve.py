"""``openai-local serve``: for oneself, for a class, or for a site.

What was typed becomes the service's `Settings`. Before it listens beyond this machine it looks whether there are
keys, and for a class it makes them. Standard output is left to the one line with the address.
"""

import contextlib
import dataclasses
import ipaddress
import os
import re
import shlex
import socket
import ssl
import sys
import time
from argparse import Namespace
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from openai_local.classroom.handout import on_network
from openai_local.classroom.hub import HubDoor
from openai_local.classroom.limits import CLASS, NONE, Limits
from openai_local.classroom.roster import Learner, make_class_keys, numbered, read_roster
from openai_local.command.access_keys import check_name
from openai_local.errors import LocalError, visible
from openai_local.home import Home, default_cache, is_held
from openai_local.runners import Runner
from openai_local.runners.local import LocalRunner
from openai_local.runners.site import read_site
from openai_local.runners.slurm import SlurmRunner
from openai_local.service.app import Settings, listen, serve
from openai_local.service.store import Store
from openai_local.service.trusted_hosts import ANY, LOOPBACK

_DOCS = "docs/class.md says how"
WAIT_SECONDS = 10.0
"""For a service that holds the lock and does not answer yet."""


def _serve(arguments: Namespace) -> None:
    home = Home.open(arguments.home)
    if arguments.detached and is_held(home.lock):
        return print(_other(home), flush=True)
    home.require_room()
    settings = _settings(arguments)
    here = is_this_machine(settings.host)
    if _is_class(arguments):
        settings = _open_class(home, arguments, settings)
    elif not here and not settings.doors:
        _require_key(home, arguments)
    if not here and settings.certificate is None:
        _say(
            "Other machines reach this service without TLS: on the way, keys and texts can be read. With TLS:  "
            f"--certificate FILE --private-key FILE, or a proxy in front; {_DOCS}."
        )
    if not arguments.detached:
        return serve(home, default_cache(), settings)
    with home.log.open("ab") as log:
        os.dup2(log.fileno(), 2)
    try:
        serve(home, default_cache(), settings)
    except LocalError:
        os.dup2(1, 2)  # whoever started this still reads there
        if not is_held(home.lock):
            raise
        print(_other(home), flush=True)  # it came a moment earlier


def _other(home: Home) -> str:
    """The address of the service that holds a home's lock; it may be starting at this very moment.

    Raises:
        LocalError: it can't be reached.
    """
    ends = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < ends:
        if (url := (home.read_running() or {}).get("url", "")) and _answers(url):
            return url
        time.sleep(WAIT_SECONDS / 20)
    raise LocalError(
        f"{home.taken()} It can't be reached from here. It may run on another machine that shares the folder. "
        "Stop it there:  openai-local stop"
    )


def _answers(url: str) -> bool:
    """Whether a service of ours is there: it wants a key, or has a certificate that is its own."""
    try:
        build_opener(ProxyHandler({})).open(f"{url}/models", timeout=5).close()
    except HTTPError as error:
        return error.code == 401
    except URLError as error:
        return "CERTIFICATE_VERIFY_FAILED" in str(error.reason)
    except OSError:
        return False
    return True


def _is_class(arguments: Namespace) -> bool:
    return arguments.roster is not None or arguments.learners is not None


def _settings(arguments: Namespace) -> Settings:
    """What was typed, checked."""
    host, port, prefix, hub = "127.0.0.1", 8765, "", None
    if arguments.jupyterhub:
        hub = HubDoor.from_environment()
        told = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL", ""))
        host, port, prefix = told.hostname or host, told.port or port, hub.prefix
    certificate = _tls(arguments.certificate, arguments.private_key)
    host = host if arguments.host is None else arguments.host
    alone = is_this_machine(host) and not hub
    # On a network, or behind a Hub, the service may have names that it does not know.
    names = LOOPBACK | ({_host_of(arguments.url)} if arguments.url else set()) | (set() if alone else {ANY})
    return Settings(
        host=host,
        port=port if arguments.port is None else arguments.port,
        idle_timeout=arguments.idle_timeout,
        certificate=certificate,
        private_key=arguments.private_key,
        names=names,
        prefix=prefix if arguments.prefix is None else _prefix(arguments.prefix),
        doors=(hub,) if hub else (),
        limits=_limits(arguments, NONE if alone and not _is_class(arguments) else CLASS),
        runner=_runner(arguments),
    )


def is_this_machine(host: str) -> bool:
    """Whether only programs of this machine can reach a service that listens there."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host or None, None)} if host else set()
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def _is_plain(text: str) -> bool:
    """Whether a part of an address can be typed into any shell as it is."""
    return re.fullmatch(r"[A-Za-z0-9:/.\-_~%\[\]]*", text) is not None


def _host_of(url: str) -> str:
    """The name in an address that somebody typed for ``--url``."""
    try:
        parts = urlsplit(url)
        name = parts.hostname if parts.scheme in ("http", "https") and (parts.port or 1) > 0 else None
    except ValueError:
        name = None
    if not name or not _is_plain(url):
        raise LocalError(f"{url!r} is no address for --url. One looks like  https://lesson.example.org")
    return name


def _prefix(typed: str) -> str:
    prefix = typed.rstrip("/")
    if prefix and (not prefix.startswith("/") or not _is_plain(prefix)):
        raise LocalError(f"{typed!r} is no path for --prefix. One begins with a slash:  --prefix /lesson")
    return prefix


def _tls(certificate: Path | None, private_key: Path | None) -> Path | None:
    """The certificate, if it and its key can be used."""
    if certificate is None and private_key is None:
        return None
    if certificate is None or private_key is None:
        raise LocalError("TLS takes two files:  --certificate FILE --private-key FILE")
    for path in (certificate, private_key):
        try:
            path.open("rb").close()
        except OSError as error:
            raise LocalError(f"{path} can't be read: {error.strerror}. TLS can't be used without it.") from None
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, private_key, password=lambda: "")
    except (ssl.SSLError, ValueError):
        raise LocalError(
            f"{certificate} and {private_key} are not a certificate and its private key in PEM. (The key must not "
            f"be protected by a password; the certificate comes first in its file; {_DOCS}.)"
        ) from None
    return certificate


def _limits(arguments: Namespace, limits: Limits) -> Limits:
    """`limits`, unless something else was typed; 0 is none."""
    if arguments.runner == "slurm":  # there the site's `time` says how long
        limits = dataclasses.replace(limits, minutes=None)
    megabytes = arguments.most_megabytes
    typed = {
        "jobs": arguments.most_jobs,
        "stored": megabytes and megabytes * 1_000_000,
        "requests": arguments.most_requests,
        "minutes": arguments.most_minutes,
    }
    return dataclasses.replace(limits, **{name: most or None for name, most in typed.items() if most is not None})


def _runner(arguments: Namespace) -> Runner:
    if arguments.runner == "local":
        if arguments.site is not None:
            raise LocalError("--site is for Slurm:  --runner slurm --site site.toml")
        return LocalRunner()
    if arguments.site is None:
        raise LocalError("Slurm needs the site's settings:  --runner slurm --site site.toml")
    return SlurmRunner(read_site(arguments.site))


def _require_key(home: Home, arguments: Namespace) -> None:
    with contextlib.closing(Store(home.database)) as store:
        if store.keys():
            return
    where = f" --home {shlex.quote(str(arguments.home))}" if arguments.home else ""
    raise LocalError(
        f"There is no key in {home.path} yet, so the service does not listen beyond this machine. Make one "
        f"first:  openai-local keys new NAME{where}   or keys for a class:  openai-local serve{where} "
        f"--host {shlex.quote(arguments.host)} --learners 30"
    )


def _open_class(home: Home, arguments: Namespace, settings: Settings) -> Settings:
    """Make the keys of a class, and say where they are. Returns the settings with the port that was found."""
    check_name(arguments.instructor)
    learners = _learners(home, arguments)
    if is_held(home.lock):
        raise LocalError(f"{home.taken()} Stop it first:  openai-local stop")
    with listen(settings.host, settings.port) as probe:  # the port is told before the service listens
        settings = dataclasses.replace(settings, port=probe.getsockname()[1])
    url = _for_learners(settings, arguments.url)
    new, handout = make_class_keys(home, url, learners, arguments.instructor)
    old = len(learners) - new
    known = f"{old} learner(s) have keys already; " if old else ""
    if handout:
        for_whom = f"{new} new one(s)" if old else f"{new} learner(s)"
        for_whom = for_whom if new else "the instructor alone"
        _say(f"{known}keys for {for_whom} are in {handout}. Print it, cut it, hand it out, and delete it.")
    else:
        _say(f"{known}so has the instructor, and there is no new hand-out.")
    if old:
        _say("Keys can't be shown again. For a learner who lost theirs:  openai-local keys renew NAME")
    _say(f"Learners type the address {url}")
    if is_this_machine(urlsplit(url).hostname or ""):
        _say("That address works on this machine only. For others:  --host 0.0.0.0, or --url ADDRESS of a proxy")
    return settings


def _for_learners(settings: Settings, typed: str | None) -> str:
    """The base URL that learners type: the service's own, or that of a proxy, typed with or without ``/v1``."""
    if typed is None:
        return settings.url(on_network(settings.host), settings.port)
    bare = typed.rstrip("/").removesuffix("/v1")
    return f"{bare if urlsplit(bare).path else bare + settings.prefix}/v1"


def _learners(home: Home, arguments: Namespace) -> list[Learner]:
    if arguments.roster is None:
        if not arguments.learners:
            raise LocalError("A class has at least one learner:  --learners 30")
        return numbered(arguments.learners)
    with contextlib.closing(Store(home.database)) as store:
        keys = store.keys()
    instructors = {key.name for key in keys if key.instructor} | {arguments.instructor}
    learners, remarks = read_roster(arguments.roster, taken=instructors)
    for remark in remarks:
        _say(remark)
    return learners


def _say(sentence: str) -> None:
    print(f"openai-local: {visible(sentence)}", file=sys.stderr, flush=True)


COMMANDS = {"serve": _serve}
