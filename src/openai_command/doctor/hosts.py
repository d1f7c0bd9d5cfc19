"""What the lesson speaks to: the service on this machine, the address that the learner set, proxies, and keys.

Nothing is started and nothing is fetched: a service that does not run yet is as it should be. No key is shown.
"""

import json
import os
import stat
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from openai_command import env_file
from openai_command.doctor import remedies
from openai_command.doctor.remedies import Finding, ok, shown, warning, wrong
from openai_data.errors import LessonError
from openai_data.local_cli import output
from openai_lesson import connection, keys, other_hosts

HERE = "127.0.0.1"


def base() -> Finding:
    """Whether the base model is here and is, byte by byte, what it should be."""
    facts: dict[str, Any] = json.loads(output("bases", "check", "--json"))
    name, digest = f"base model {facts['title']}", f"{facts['sha256'][:12]}…"
    problems = {
        "missing": f"The {name} is not on this machine yet (93 MB).",
        "unfinished": f"The {name} was fetched, but not made ready for training.",
        "broken": f"The file of the {name} is damaged: its SHA-256 is not {digest}.",
    }
    if problem := problems.get(facts["state"]):
        return wrong(problem, f"{remedies.program('openai-local')} bases fetch")
    return ok(f"The {name} is here, and its SHA-256 is right ({digest}).")


def service() -> Finding:
    """Whether the service on this machine answers, if it runs."""
    status = json.loads(output("status", "--json"))
    program = remedies.program("openai-local")
    if not status["url"]:
        return ok("The service on this machine does not run now. It starts by itself when it is needed.")
    models = _models(status["url"], keys.load(f"local:{status['home']}") or "none")
    if models is None:
        return wrong(f"The service should answer at {status['url']}, and does not.", f"{program} stop")
    has = f" and has {models} model{'s' if models != 1 else ''}" if models else ""
    return ok(f"The service on this machine answers at {status['url']}{has}.")


def address() -> list[Finding]:
    """Whether anyone answers at the address that the learner set, if one is set."""
    variable, url = _chosen_address()
    if not url:
        return []
    if _models(url.rstrip("/"), "none") is None:
        forget = f'setx {variable} ""' if remedies.WINDOWS else f"unset {variable}"
        return [wrong(f"{variable} is set to {url}, and nobody answers there.", forget)]
    host = urlsplit(url).netloc.rpartition("@")[2]
    return [ok(f"{variable} sends you to {host}, which answers.")]


def _chosen_address() -> tuple[str, str]:
    """The variable in which the learner set an address, and that; empty if there is none."""
    set_ = [(name, os.environ.get(name, "")) for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE")]
    return next(((name, url) for name, url in set_ if url and not connection.found_here(url)), ("", ""))


def _models(url: str, key: str) -> int | None:
    """How many models a host lists (0: it answers, but not to this key), or None if it does not answer."""
    here = connection.is_local(urlsplit(url).hostname or "")
    how: dict[str, Any] = {"timeout": 5, "trust_env": not here, "follow_redirects": True}  # seconds; no proxy here
    try:  # at the address that the client would use
        answer = httpx2.get(f"{url}/models", headers={"Authorization": f"Bearer {key}"}, **how)
        return len(answer.json()["data"]) if answer.is_success else 0
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError):
        return None


def proxies() -> Finding:
    """Whether a program that asks for 127.0.0.1 is sent to a proxy. The lesson's own go round it."""
    known = getproxies()
    proxy = known.get("http") or known.get("all")
    if not proxy:
        return ok("No proxy is set for http.")
    if proxy_bypass(HERE):
        return ok("A proxy is set, and this machine is reached without it.")
    variable = "no_proxy" if os.environ.get("no_proxy") else "NO_PROXY"  # the small letters win if both are set
    without = ",".join(filter(None, [os.environ.get(variable), HERE, "localhost"]))
    return warning(
        f"The proxy {proxy} also catches {HERE}. The lesson goes round it; other programs will not find the "
        "service on this machine.",
        remedies.set_variable(variable, without),
    )


def key() -> list[Finding]:
    """The key for the host that the learner chose, and what is wrong with the file with the keys."""
    path = keys.path()
    try:
        keys.load("openai")
    except LessonError:
        delete = f"{'del' if remedies.WINDOWS else 'rm'} {remedies.quoted(path)}"
        return [wrong(f"The file with your keys ({shown(path)}) is damaged.", delete)]
    found = [_key()]
    if path.exists() and not remedies.WINDOWS and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        said = f"Others on this machine can read the file with your keys ({shown(path)})."
        found.append(warning(said, f"chmod 600 {remedies.quoted(path)}"))
    return found


def _key() -> Finding:
    """Where the key comes from; the order is that of `openai_lesson.connection`."""
    _, url = _chosen_address()
    hostname = urlsplit(url).hostname or ""
    given = os.environ.get("OPENAI_API_KEY", "")
    if url and not connection.is_local(hostname):
        name = "openai" if connection.is_openai(hostname) else url
        if other_hosts.suits(given, hostname):
            return ok(f"The key for {hostname} comes from {_origin()}.")
        if keys.load(name):
            return ok(f"The key for {hostname} comes from the file with your keys.")
        ask = f"{remedies.python()} -c \"from openai_lesson import keys; keys.ask('{name}')\""
        return wrong(f"There is no key for {hostname}. It is asked for, hidden, and kept.", ask)
    if other_hosts.looks_real(given):
        return ok(
            f"A key comes from {_origin()}. The command openai takes it to OpenAI; the notebooks stay on this "
            "machine, which needs none."
        )
    if given and not given.startswith("sk-local-"):
        return ok(f"No key is needed on this machine. What {_origin()} says is not a real one.")
    if keys.load("openai"):
        return ok("A key for OpenAI is in the file with your keys. On this machine none is needed.")
    return ok("No key is set. On this machine none is needed.")


def _origin() -> str:
    """Where ``OPENAI_API_KEY`` was set: in the file ``.env`` that the kernel reads, or elsewhere."""
    file = env_file.nearest()
    if file and env_file.read(file).get("OPENAI_API_KEY") == os.environ.get("OPENAI_API_KEY"):
        return "OPENAI_API_KEY in the file .env"
    return "the environment variable OPENAI_API_KEY"
