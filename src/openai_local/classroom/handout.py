"""The hand-out of a class: a page with one strip for each learner, to be printed and cut, and the same as CSV.

Each strip has the address, the key, and the first command (``handout.html``). Keys can't be shown twice, so the
hand-out holds those that were made just now; it lies in the home, and only its owner can read it. The instructor's
strip has a sheet of its own, so that it does not go round by mistake.
"""

import csv
import io
import re
import shlex
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openai_local.home import Home, write_whole

_TEMPLATE = Path(__file__).with_name("handout.html")
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - to know it, not to listen there
_SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses that nobody has (RFC 5737 and 3849). They only serve to ask by which way one would go there."""
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # the last four are as wide as a Chinese character


@dataclass(frozen=True)
class Strip:
    """What somebody needs: `shown` is what people call them, `name` whose the key is."""

    name: str
    shown: str
    key: str = field(repr=False)
    instructor: bool = False

    def grouped(self) -> list[str]:
        """The key in groups of four, to be typed from paper."""
        return re.findall("^sk-local-|.{1,4}", self.key)


def write_handout(home: Home, url: str, strips: Sequence[Strip]) -> Path:
    """Write the page into the home, with the time in its name, and beside it the same as CSV for a mail merge.

    Both can be read by their owner only. `url` is what learners type, such as ``http://192.0.2.7:8765/v1``. An
    instructor's strip comes first. Returns where the page lies. Raises `OSError` if it can't be written.
    """
    import jinja2  # only here, as a service starts many times for each class that it opens

    path = home.path / f"handout-{time.strftime('%Y-%m-%d-%H%M%S')}.html"
    write_whole(path.with_suffix(".csv"), _table(url, strips))
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    in_order = sorted(strips, key=lambda strip: not strip.instructor)
    write_whole(path, template.render(url=url, quoted=shlex.quote(url), page=page_url(url), strips=in_order))
    return path


def page_url(url: str) -> str:
    """The page for people, next to a base URL."""
    return url.removesuffix("v1")


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


def _plain(cell: str) -> str:
    """A spreadsheet takes a cell that begins like this for a formula, and anybody may have typed a name."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
