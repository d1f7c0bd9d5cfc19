"""``openai-local serve``: for oneself, for a class, or for a site.

What was typed becomes the service's `Settings`. Before it listens beyond this machine it looks whether there are
keys, and for a class it makes them. Standard output is left to the one line with the address.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openai_local import visible
from openai_local.classroom import addresses
from openai_local.errors import LocalError
from openai_local.home import Home, default_cache

if TYPE_CHECKING:
    from openai_local.classroom.roster import Learner
    from openai_local.runners import Runner
    from openai_local.service.settings import Limits, Settings

_DOCS = "docs/class.md says how"


def add_command(commands: Any, home: argparse.ArgumentParser) -> None:
    """Put ``serve`` below ``openai-local``.

    Args:
        commands: what `argparse` made for the commands.
        home: the parser with the option ``--home``.
    """
    serve = commands.add_parser("serve", parents=[home], help="start the service")
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1, which is this machine alone)")
    serve.add_argument("--port", type=int, help="port (default: 8765; 0 picks a free one)")
    serve.add_argument("--idle-timeout", type=float, metavar="SECONDS", help="stop when nobody called for so long")
    _add_class(serve.add_argument_group("a class"))
    beyond = serve.add_argument_group("for other machines")
    beyond.add_argument("--certificate", type=Path, metavar="FILE", help="TLS: the certificate, in PEM")
    beyond.add_argument("--private-key", type=Path, metavar="FILE", help="TLS: its private key, in PEM")
    beyond.add_argument("--prefix", metavar="PATH", help="the path under which a proxy has the service: /lesson")
    beyond.add_argument("--jupyterhub", action="store_true", help="a JupyterHub starts it and knows the keys")
    runner = serve.add_argument_group("where jobs are trained")
    runner.add_argument("--runner", choices=("local", "slurm"), default="local", help="default: %(default)s")
    runner.add_argument("--site", type=Path, metavar="FILE", help="for Slurm: the site's settings, site.toml")
    serve.set_defaults(run=_serve)


def _add_class(group: Any) -> None:
    who = group.add_mutually_exclusive_group()
    who.add_argument("--class", dest="roster", type=Path, metavar="FILE", help="make keys for a roster in CSV")
    who.add_argument("--learners", type=_count, metavar="N", help="make keys for learner-01 to learner-N")
    group.add_argument("--instructor", metavar="NAME", default="instructor", help="name of the key that sees all")
    group.add_argument("--url", help="the address that others type, if it is not this machine's")
    for name, what in (
        ("jobs", "jobs that are not over"),
        ("megabytes", "megabytes of files and models"),
        ("requests", "requests in a minute"),
        ("minutes", "minutes of training for one job"),
    ):
        said = f"{what}, for each learner; 0 is no limit"
        group.add_argument(f"--most-{name}", type=_count, metavar="N", help=said)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up")
    return int(text)


def _serve(arguments: argparse.Namespace) -> None:
    from openai_local.service.app import serve

    home = Home.open(arguments.home)
    home.require_room()
    settings = _settings(arguments)
    here = addresses.is_this_machine(settings.host)
    if arguments.roster or arguments.learners is not None:
        settings = _open_class(home, arguments, settings)
    elif not here and not settings.doors:
        _require_key(home, arguments)
    if not here and settings.certificate is None:
        _say(
            "Other machines reach this service without TLS: on the way, keys and texts can be read. With TLS:  "
            f"--certificate FILE --private-key FILE, or a proxy in front; {_DOCS}."
        )
    serve(home, default_cache(), settings)


def _settings(arguments: argparse.Namespace) -> Settings:
    """What was typed, checked."""
    from openai_local.service.settings import Settings

    host, port, prefix, doors = "127.0.0.1", 8765, "", []
    if arguments.jupyterhub:
        from openai_local.classroom.hub import HubDoor

        door = HubDoor.from_environment()
        told = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL", ""))
        host, port, prefix, doors = told.hostname or host, told.port or port, door.prefix, [door]
    certificate = _tls(arguments.certificate, arguments.private_key)
    host = host if arguments.host is None else arguments.host
    shared = arguments.roster or arguments.learners is not None or doors or not addresses.is_this_machine(host)
    return Settings(
        host=host,
        port=port if arguments.port is None else arguments.port,
        idle_timeout=arguments.idle_timeout,
        certificate=certificate,
        private_key=arguments.private_key,
        names=_names(addresses.is_this_machine(host) and not doors, arguments.url),
        prefix=prefix if arguments.prefix is None else _prefix(arguments.prefix),
        doors=tuple(doors),
        limits=_limits(arguments, bool(shared)),
        runner=_runner(arguments),
    )


def _names(known: bool, url: str | None) -> frozenset[str]:
    """What the service may be called. On a network, or behind a Hub, it may have names that it does not know."""
    from openai_local.service.trusted_hosts import ANY, LOOPBACK

    given = {addresses.host_of(url)} if url else set[str]()
    return LOOPBACK | given | (set() if known else {ANY})


def _prefix(typed: str) -> str:
    prefix = typed.rstrip("/")
    if prefix and (not prefix.startswith("/") or not addresses.is_plain(prefix)):
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


def _limits(arguments: argparse.Namespace, shared: bool) -> Limits:
    """Those of a class where others use the service too; what was typed counts before them, and 0 is none."""
    from openai_local.service.settings import CLASS, Limits

    default = CLASS if shared else Limits()
    if arguments.runner == "slurm":  # there the site's `time` says how long
        default = dataclasses.replace(default, minutes=None)
    stored = arguments.most_megabytes

    def most(typed: int | None, otherwise: int | None) -> int | None:
        return otherwise if typed is None else typed or None

    return dataclasses.replace(
        default,
        jobs=most(arguments.most_jobs, default.jobs),
        stored=most(stored if stored is None else stored * 1_000_000, default.stored),
        requests=most(arguments.most_requests, default.requests),
        minutes=most(arguments.most_minutes, default.minutes),
    )


def _runner(arguments: argparse.Namespace) -> Runner:
    if arguments.runner == "local":
        if arguments.site is not None:
            raise LocalError("--site is for Slurm:  --runner slurm --site site.toml")
        from openai_local.runners.local import LocalRunner

        return LocalRunner()
    if arguments.site is None:
        raise LocalError("Slurm needs the site's settings:  --runner slurm --site site.toml")
    from openai_local.runners.site import read_site
    from openai_local.runners.slurm import SlurmRunner

    return SlurmRunner(read_site(arguments.site))


def _require_key(home: Home, arguments: argparse.Namespace) -> None:
    from openai_local.service.store import Store

    store = Store(home.database)
    try:
        if store.keys():
            return
    finally:
        store.close()
    where = f" --home {shlex.quote(str(arguments.home))}" if arguments.home else ""
    raise LocalError(
        f"There is no key in {home.path} yet, so the service does not listen beyond this machine. Make one "
        f"first:  openai-local keys new NAME{where}   or keys for a class:  openai-local serve{where} "
        f"--host {shlex.quote(arguments.host)} --learners 30"
    )


def _open_class(home: Home, arguments: argparse.Namespace, settings: Settings) -> Settings:
    """Make the keys of a class, and say where they are. Returns the settings with the port that was found."""
    from openai_local.classroom.class_keys import make_class_keys
    from openai_local.command.keys import check_name

    check_name(arguments.instructor)
    learners = _learners(home, arguments)
    settings = dataclasses.replace(settings, port=addresses.free_port(home, settings.host, settings.port))
    url = addresses.for_learners(settings, arguments.url)
    made = make_class_keys(home, url, learners, arguments.instructor)
    known = f"{made.known} learner(s) have keys already; " if made.known else ""
    if made.handout:
        for_whom = f"{made.new} new one(s)" if made.known else f"{made.new} learner(s)"
        for_whom = for_whom if made.new else "the instructor alone"
        _say(f"{known}keys for {for_whom} are in {made.handout}. Print it, cut it, hand it out, and delete it.")
    else:
        _say(f"{known}so has the instructor, and there is no new hand-out.")
    if made.known:
        _say("Keys can't be shown again. For a learner who lost theirs:  openai-local keys renew NAME")
    _say(f"Learners type the address {url}")
    if addresses.is_this_machine(urlsplit(url).hostname or ""):
        _say("That address works on this machine only. For others:  --host 0.0.0.0, or --url ADDRESS of a proxy")
    return settings


def _learners(home: Home, arguments: argparse.Namespace) -> list[Learner]:
    from openai_local.classroom.roster import numbered, read_roster
    from openai_local.service.store import Store

    if arguments.roster is None:
        if not arguments.learners:
            raise LocalError("A class has at least one learner:  --learners 30")
        return numbered(arguments.learners)
    store = Store(home.database)
    try:
        keys = store.keys()
    finally:
        store.close()
    instructors = {key.name for key in keys if key.instructor} | {arguments.instructor}
    roster = read_roster(arguments.roster, taken=instructors)
    for remark in roster.remarks:
        _say(remark)
    return roster.learners


def _say(sentence: str) -> None:
    print(f"openai-local: {visible.sentence(sentence)}", file=sys.stderr, flush=True)
