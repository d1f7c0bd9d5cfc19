"""Clients without any setting reach the service on this machine, which is started when it is first needed.

The constructors of the official client are wrapped, when its module is imported, by whomever: a cell, or a
module of the learner. Only there it is known that somebody needs a host, and whether they named one. Setting
the environment before each cell would start the service for cells that never ask, and a key of the learner's,
set later, could go to the service on this machine. So the environment stays the learner's own.

An address that is given, in the call or in the environment, is used; so is a real key, and it goes to OpenAI
only. Clients for Azure, Bedrock and other providers are left alone. Programs that a cell starts (``!python
script.py``) are not connected; after `openai_lesson.connect()`, which sets the environment, they are.
"""

import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from openai_command.env_file import Settings
from openai_command.redaction import Secrets

if TYPE_CHECKING:
    from openai_lesson.connection import Destination

_MODULE = "openai._client"
_OTHER_WAYS = ("admin_api_key", "workload_identity", "provider", "data_residency", "websocket_base_url")


class Connection:
    """Where clients go that were not told, and what was said about it."""

    def __init__(self, secrets: Secrets) -> None:
        """Each key that a client gets becomes one of the secrets."""
        self.settings = Settings()
        self._secrets = secrets
        self._local: Destination | None = None
        self._said: set[str] = set()

    def arrange(self) -> None:
        """Wrap the client's constructors, now or when they are imported."""
        if _MODULE in sys.modules:
            self._wrap(sys.modules[_MODULE])
        else:
            sys.meta_path.insert(0, self)

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        """What Python asks at each import: the client's module is wrapped, once, right after it was imported."""
        if fullname != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self._wrap(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def _wrap(self, module: ModuleType) -> None:
        for kind in (module.OpenAI, module.AsyncOpenAI):
            kind.__init__ = self._connected(kind.__init__)

    def _connected(self, construct: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(construct)
        def connected(client: Any, *args: Any, **given: Any) -> None:
            if _needs_host(client, given):
                found = self.destination(given.get("api_key"))
                given.update(api_key=found.key, base_url=found.url)
            if isinstance(key := given.get("api_key"), str):
                self._secrets.add(key, key=True)
            construct(client, *args, **given)

        return connected

    def destination(self, key: str | None = None) -> "Destination":
        """The address and the key for a client that was given no address. Without any key: a `LessonError`."""
        from openai_command.destination import for_command
        from openai_lesson import connection
        from openai_lesson.other_hosts import looks_real

        self.settings.take()
        address = os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE") or ""
        key = key or os.environ.get("OPENAI_API_KEY") or ""
        mine = address and not connection.found_here(address)
        if not mine and looks_real(key):
            return self._say(for_command("openai", key))
        if not mine and address and key.startswith("sk-local-") and not self._local:
            self._local = connection.Destination(address, key)  # connect() found it, and said so
        other = key.startswith("sk-local-") and self._local and key != self._local.key
        if mine or other or not self._local or not _lives(self._local):
            found = self._say(for_command(None, key))
            self._local = None if mine else found
            return found
        return self._local

    def _say(self, found: "Destination") -> "Destination":
        """Tell a learner once what was chosen."""
        for remark in found.remarks:
            if remark not in self._said:
                print(remark)
        self._said.update(found.remarks)
        return found


def _needs_host(client: Any, given: dict[str, Any]) -> bool:
    """Whether a client is one of OpenAI's API, and nobody said where that is."""
    if isinstance(given.get("base_url"), str) or type(given.get("base_url")).__name__ == "URL":
        return False
    if callable(given.get("api_key")) or any(given.get(name) for name in _OTHER_WAYS):
        return False
    if os.environ.get("OPENAI_ADMIN_KEY") and not given.get("api_key") and not os.environ.get("OPENAI_API_KEY"):
        return False
    return not any(kind.__module__.startswith("openai.lib") for kind in type(client).__mro__)


def _lives(found: "Destination") -> bool:
    import openai

    from openai_lesson import local

    try:
        return local.takes(found.url, found.key)
    except openai.APIError:
        return False
