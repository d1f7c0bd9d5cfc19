"""Writes docs/api.md: every endpoint and parameter, and whether it works. Run as `python docs/make_api.py`.

Nothing is listed by hand that can be read: endpoints come from the service's routes, parameters from the official
client's types, their state from the tables in the route modules. By hand are only the remarks, in `remarks.py`.
A test compares the file with what this makes of it, and tries every parameter.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from offered import Offer, offers
from official import Call, calls, key
from remarks import ENDPOINTS, GROUPS, INTRODUCTION, NOT_OFFERED, PARAMETERS
from typing_extensions import get_type_hints, is_typeddict

PAGE = Path(__file__).with_name("api.md")


@dataclass(frozen=True)
class Parameter:
    """One parameter of an endpoint. `state` is works, refused or differs; `how` says more."""

    name: str
    state: str
    how: str = ""


def parameters(offer: Offer, call: Call | None) -> list[Parameter]:
    """The parameters of an endpoint, as the client knows them, then those that only the service knows."""
    known = _names(call.params) if call else []
    offered = set(known)
    if offer.method == "POST" and (known or offer.endpoint.__name__ == "create"):
        assert offer.table("OFFERED") is not None, f"{offer.endpoint.__module__} has no table OFFERED"
        offered = set(offer.table("OFFERED"))
    names = [*known, *sorted(offered - set(known))]
    return [_parameter(offer, name, name in offered) for name in names]


def _names(params: Any) -> list[str]:
    """The names in a TypedDict, or in a union of them."""
    kinds = [params] if is_typeddict(params) else get_args(params)
    return list(dict.fromkeys(name for kind in kinds for name in get_type_hints(kind)))


def _parameter(offer: Offer, name: str, offered: bool) -> Parameter:
    how = PARAMETERS.get(f"{offer.method} {offer.path} {name}", PARAMETERS.get(name, ""))
    if offered:
        return Parameter(name, "differs" if how else "works", how)
    harmless = offer.table("HARMLESS") or {}
    if harmless.get(name) == (True, False):
        return Parameter(name, "differs", "Taken. It changes no answer.")
    if name in harmless:
        value = harmless[name]
        values = [f"`{json.dumps(one)}`" for one in (value if isinstance(value, tuple) else (value,))]
        asks = "asks" if len(values) == 1 else "ask"
        how = f"Except {' and '.join(values)}, which {asks} for nothing. {how}".strip()
    return Parameter(name, "refused", how)


def not_offered() -> list[Call]:
    """What the client can call and the service does not have."""
    ours = {key(offer.method, offer.path) for offer in offers()}
    return [call for name, call in calls().items() if name not in ours]


def page() -> str:
    """The whole page."""
    known, ours = calls(), offers()
    lines = [INTRODUCTION.strip(), ""]
    for prefix, title in GROUPS.items():
        if group := [offer for offer in ours if _group(offer) == prefix]:
            lines += [f"## {title}", ""]
        for offer in group:
            lines += _endpoint(offer, known.get(key(offer.method, offer.path)))
    lines += ["## Not offered", "", NOT_OFFERED.strip(), ""]
    lines += [f"- `{call.method} /v1{call.path}`" for call in not_offered()]
    return "\n".join(lines) + "\n"


def _group(offer: Offer) -> str:
    """The longest prefix of the groups that the path has."""
    return max((prefix for prefix in GROUPS if offer.path.startswith(f"/v1/{prefix}")), key=len)


def _endpoint(offer: Offer, call: Call | None) -> list[str]:
    heading = f"### `{offer.method} {offer.path}`"
    remark = ENDPOINTS.get(f"{offer.method} {offer.path}", "")
    lines = [heading, "", " ".join(filter(None, [offer.summary, remark]))]
    if call:
        lines += ["", f"In the client: `client.{call.name}`."]
    if rows := parameters(offer, call):
        lines += ["", "| parameter | | how |", "|---|---|---|"]
        lines += [f"| `{row.name}` | {row.state} | {row.how} |" for row in rows]
    return [*lines, ""]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
