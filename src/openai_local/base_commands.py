"""``openai-local bases add``, ``list`` and ``remove``: base models of one's own."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import psutil

from openai_local.errors import LocalError
from openai_local.home import Home, default_cache

_SHOWN = 5


def add_commands(bases: Any, home: argparse.ArgumentParser) -> None:
    """Put the three commands below ``openai-local bases``.

    Args:
        bases: what `argparse` made for the actions of ``bases``.
        home: the parser with the option ``--home``.
    """
    add = bases.add_parser("add", parents=[home], help="register a model of your own as a base model")
    add.add_argument("name", metavar="NAME", help="what jobs will call it: small letters, digits, dots, - and _")
    add.add_argument("path", metavar="PATH", type=Path, help="a .gguf file or a Hugging Face folder")
    add.add_argument("--title", help="what people call it (default: NAME)")
    add.add_argument("--licence", help="the name of its licence")
    add.set_defaults(run=_add)
    list_ = bases.add_parser("list", parents=[home], help="which base models there are")
    list_.add_argument("--json", action="store_true", help="as JSON")
    list_.set_defaults(run=_list)
    remove = bases.add_parser("remove", parents=[home], help="remove a base model that you registered")
    remove.add_argument("name", metavar="NAME", help="its name")
    remove.set_defaults(run=_remove)


def _add(arguments: argparse.Namespace) -> None:
    from openai_local.engine.bases import Bases
    from openai_local.engine.registration import register

    bases = Bases(Home.open(arguments.home), default_cache())
    entry = register(
        bases, arguments.name, arguments.path, title=arguments.title, licence=arguments.licence, tell=print
    )
    size = sum(path.stat().st_size for path in entry.folder.rglob("*") if path.is_file())
    there, needed = psutil.virtual_memory().total, entry.training_bytes
    less = f", and this machine has {there / 1e9:.1f} GB" if there < needed else ""
    print(
        f"{entry.name} is ready: {entry.architecture}, {entry.parameters / 1e6:,.1f} million parameters, "
        f"{size / 1e6:,.0f} MB in {entry.folder}. Training it takes about {needed / 1e9:.1f} GB of memory{less}. "
        f'Name it in a job:  model="{entry.name}"'
    )


def _list(arguments: argparse.Namespace) -> None:
    from openai_local.engine.bases import Bases

    entries = Bases(Home.open(arguments.home), default_cache()).all()
    if arguments.json:
        facts = [
            {
                "name": entry.name,
                "title": entry.title,
                "licence": entry.licence,
                "architecture": entry.architecture,
                "parameters": entry.parameters,
                "ready": entry.ready,
                "path": str(entry.folder),
            }
            for entry in entries
        ]
        print(json.dumps(facts))
        return
    for entry in entries:
        state = "" if entry.ready else ", not on this machine yet"
        print(
            f"{entry.name}: {entry.title}, {entry.architecture}, {entry.parameters / 1e6:,.1f} million "
            f"parameters, {entry.licence}{state}"
        )


def _remove(arguments: argparse.Namespace) -> None:
    from openai_local.engine.bases import Bases
    from openai_local.service.job_records import Records
    from openai_local.service.store import Store

    home = Home.open(arguments.home)
    store = Store(home.database)
    try:
        needing = Records(store, home).needing(arguments.name)
    finally:
        store.close()
    bases = Bases(home, default_cache())
    if needing and not _is_built_in(bases, arguments.name):
        shown = ", ".join(needing[:_SHOWN]) + (" and others" if len(needing) > _SHOWN else "")
        raise LocalError(
            f"{arguments.name} can't be removed, as {len(needing)} fine-tune(s) or job(s) need it: {shown}. "
            "Delete the fine-tunes and cancel the jobs first:  openai api models.delete -i NAME"
        )
    bases.remove(arguments.name)
    print(f"{arguments.name} is removed. The file or folder that it was added from is as it was.")


def _is_built_in(bases: Any, name: str) -> bool:
    entry = bases.find(name)
    return entry is not None and entry.built_in
