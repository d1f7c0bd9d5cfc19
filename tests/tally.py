"""How hard tests try, and what they say at the end of a run.

Tests that try to break things (``tests/torture``) take one of two sizes: a short one every day, a long one with
``--torture``. Each says what it tried and how much was lost, and one table of it all stands at the end.
"""

from collections.abc import Callable
from typing import Any

import pytest

AT_THE_END = pytest.StashKey[dict[str, list[str]]]()
"""What tests have to say at the end of the run: lines under a title. Each process hands its own on."""
TABLE = "what was tried, and what was lost"
HEAD = ("| what was tried | how much | lost |", "|---|---|---|")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torture", action="store_true", help="try to break things for hours, not for minutes")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[AT_THE_END] = {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["at the end"] = session.config.stash[AT_THE_END]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for title, lines in getattr(node, "workeroutput", {}).get("at the end", {}).items():
        node.config.stash[AT_THE_END].setdefault(title, []).extend(lines)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for title, lines in config.stash[AT_THE_END].items():
        terminalreporter.section(title)
        for line in (*HEAD, *lines) if title == TABLE else lines:
            terminalreporter.line(line)


@pytest.fixture
def size(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """Which of two sizes a test shall take: the short one, or the long one of ``--torture``."""
    return lambda short, long: long if request.config.getoption("--torture") else short


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Callable[[str, str, int], None]:
    """Put a row into the table: what was tried, how much of it, and how many things were lost by it."""

    def note(what: str, how_much: str, lost: int) -> None:
        row, config = f"| {what} | {how_much} | {lost} |", request.config
        config.stash[AT_THE_END].setdefault(TABLE, []).append(row)
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        if terminal and config.getoption("--torture"):  # it takes hours, and may be stopped before its end
            terminal.ensure_newline()
            terminal.write_line(row)

    return note
