"""The official client for one run of the command, as its global options say."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from openai_command.printing import note
from openai_data.errors import LessonError

if TYPE_CHECKING:
    import openai


def client_for(arguments: argparse.Namespace) -> openai.OpenAI:
    """The client that a word of the command works with. Says in one line where it goes, unless that was named.

    The key that is used is left in `arguments.secret`, so that no error shows it.

    Raises:
        LessonError: the service on this machine can't be started, or there is no key for the host.
    """
    import openai

    from openai_command.destination import for_command

    _refuse_azure(arguments)
    _log(arguments.verbose)
    if arguments.api_key and arguments.api_key.startswith("sk-"):
        variable = "set" if sys.platform == "win32" else "export"
        note(
            "Others on this computer can read a key that is typed into a command. "
            f"Safer:  {variable} OPENAI_API_KEY=…"
        )
    found = for_command(arguments.api_base, arguments.api_key)
    arguments.secret = found.key
    for remark in found.remarks:
        note(remark)
    return openai.OpenAI(
        base_url=found.url,
        api_key=found.key,
        organization=arguments.organization or os.environ.get("OPENAI_ORGANIZATION"),
        http_client=_through(arguments.proxy),
    )


def typed(arguments: argparse.Namespace, words: str) -> str:
    """A command to suggest: `words` behind ``openai``, for the same host. A key is left out."""
    return f"openai -b {arguments.api_base} {words}" if arguments.api_base else f"openai {words}"


def _refuse_azure(arguments: argparse.Namespace) -> None:
    named = [arguments.api_version, arguments.azure_endpoint, arguments.azure_ad_token]
    if arguments.api_type == "azure" or any(named):
        raise LessonError(
            "This command does not speak to Azure. In Python,  from openai import AzureOpenAI  does. "
            "Leave out --api-type, --api-version and --azure-…"
        )


def _through(proxies: list[str] | None) -> Any:
    """A connection through a proxy, or None. One that begins with https is for addresses that do, as in 2022."""
    if not proxies:
        return None
    import httpx2
    import openai

    mounts = {
        "https://" if proxy.startswith("https") else "http://": httpx2.HTTPTransport(proxy=proxy)
        for proxy in proxies
    }
    return openai.DefaultHttpx2Client(mounts=mounts)


def _log(verbosity: int) -> None:
    """Once: each request in a line. Twice: what the client knows of it, which masks keys by itself."""
    if not verbosity:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("[%(asctime)s] %(message)s"))
    for name in ("httpx2", "openai"):
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.DEBUG if verbosity > 1 and name == "openai" else logging.INFO)
