"""Who reads what is printed, and whether anyone can answer."""

from __future__ import annotations

import os
import sys


def can_ask() -> bool:
    """Whether a person sits at a terminal and can answer a question.

    A command after ``!`` in a notebook gets a terminal too, but nobody can type into it: the kernel's environment
    gives it away. So does that of a service that runs tests.
    """
    if os.environ.get("JPY_PARENT_PID") or os.environ.get("CI"):
        return False
    return bool(sys.stdin and sys.stdin.isatty() and sys.stdout.isatty())
