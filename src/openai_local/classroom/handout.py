"""The hand-out of a class: a page with one strip for each learner, to be printed and cut, and the same as CSV.

Each strip has the address, the key, and the first command. Keys can't be shown twice, so the hand-out holds those
that were made just now; it lies in the home, and only its owner can read it. The instructor's strip has a sheet of
its own, so that it does not go round by mistake.
"""

from __future__ import annotations

import csv
import io
import re
import shlex
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from openai_local.home import Home, write_whole

_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - to know it, not to listen there
_SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses that nobody has (RFC 5737 and 3849). They only serve to ask by which way one would go there."""
_STYLE = """
@page { size: auto; margin: 10mm 14mm; }
* { box-sizing: border-box; }
body { color: #000; background: #fff; font: 10pt/1.3 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif;
  max-width: 180mm; margin: 0 auto; }
.note { padding: 3mm 0; }
.strip { border-bottom: 1.5px dashed #666; padding: 3mm 0 4mm; break-inside: avoid; }
.instructor { border-bottom: 0; break-after: page; }
h2 { font-size: 13pt; margin: 0 0 1mm; }
h2 small { font-size: 10pt; font-weight: normal; }
p { margin: 1.2mm 0; }
code, pre { font-family: "DejaVu Sans Mono", Menlo, Consolas, "Liberation Mono", monospace; font-size: 8pt; }
pre { margin: 0.6mm 0 1.2mm; padding: 1mm 2mm; border: 1px solid #bbb; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.key { font-size: 11pt; }
.key span { display: inline-block; margin-right: 0.6ch; white-space: nowrap; }
@media screen { body { padding: 3mm; } }
@media print { .note { display: none; } }
"""


@dataclass(frozen=True)
class Strip:
    """What somebody needs: `shown` is what people call them, `name` whose the key is."""

    name: str
    shown: str
    key: str = field(repr=False)
    instructor: bool = False


def write_handout(home: Home, url: str, strips: Sequence[Strip]) -> Path:
    """Write the page, and beside it the same as CSV for a mail merge. Both can be read by their owner only.

    Args:
        home: in its folder they are written, with the date and the time in their names.
        url: the base URL that learners type, such as ``http://192.0.2.7:8765/v1``.
        strips: in the order in which they shall be printed; an instructor's comes first.

    Returns:
        Where the page lies. What can't be written raises `OSError`.
    """
    path = home.path / f"handout-{time.strftime('%Y-%m-%d-%H%M%S')}.html"
    write_whole(path.with_suffix(".csv"), _table(url, strips))
    write_whole(path, _page(url, strips))
    return path


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


def page_url(url: str) -> str:
    """The page for people, next to a base URL."""
    return url.removesuffix("v1")


def _page(url: str, strips: Sequence[Strip]) -> str:
    parts = [_strip(url, strip) for strip in sorted(strips, key=lambda strip: not strip.instructor)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n<title>Hand-out</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n"
        '<p class="note">Print this page and cut it along the dashed lines. '
        "Delete it when everybody has their key.</p>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def _strip(url: str, strip: Strip) -> str:
    known_as = f" <small>({escape(strip.name)})</small>" if strip.name != strip.shown else ""
    page = f"<code>{escape(page_url(url))}</code>"
    for_instructor = (
        f"<p><b>For the instructor. Don't hand this out.</b> Your page: {page}. Open it and enter this key: it "
        "sees what everybody does.</p>"
    )
    lines = (
        f"<h2><bdi>{escape(strip.shown)}</bdi>{known_as}</h2>",
        f"<p>Address: <code>{escape(url)}</code></p>",
        f'<p>Key: <code class="key">{_grouped(strip.key)}</code></p>',
        for_instructor if strip.instructor else "",
        "<p>Type these two lines where you then start JupyterLab. On Linux and macOS (in Windows' Command Prompt "
        "with <code>set</code> in place of <code>export</code>):</p>",
        _code(f"export OPENAI_BASE_URL={shlex.quote(url)}", f"export OPENAI_API_KEY={strip.key}"),
        "<p>In Windows' PowerShell:</p>",
        _code(f'$env:OPENAI_BASE_URL="{url}"', f'$env:OPENAI_API_KEY="{strip.key}"'),
        "<p>Then <code>jupyter lab notebooks</code>. In the notebooks nothing changes: "
        "<code>lesson.connect()</code> finds both. "
        + ("" if strip.instructor else f"Your jobs: {page} with your key. ")
        + "Whoever has your key sees your files. Don't pass it on.</p>",
    )
    kind = "strip instructor" if strip.instructor else "strip"
    return f'<section class="{kind}">\n' + "\n".join(filter(None, lines)) + "\n</section>"


def _code(*lines: str) -> str:
    return "<pre>" + escape("\n".join(lines)) + "</pre>"


def _grouped(key: str) -> str:
    """In groups of four, to be typed from paper. Between them is room and no character, so it can be copied."""
    return "".join(f"<span>{escape(group)}</span>" for group in re.findall("^sk-local-|.{1,4}", key))


def _table(url: str, strips: Sequence[Strip]) -> str:
    text = io.StringIO()
    text.write("\ufeff")  # by this mark Excel knows UTF-8
    # All in quotes: where Excel divides at semicolons, one in a name would begin a cell.
    rows = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    rows.writerow(["learner", "name", "role", "address", "key"])
    for strip in strips:
        role = "instructor" if strip.instructor else "learner"
        rows.writerow([_plain(strip.shown), _plain(strip.name), role, url, strip.key])
    return text.getvalue()


_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # the last four are as wide as a Chinese character


def _plain(cell: str) -> str:
    """A spreadsheet takes a cell that begins like this for a formula, and anybody may have typed a name."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
