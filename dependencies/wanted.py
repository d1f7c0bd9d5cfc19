"""Prints what `pyproject.toml` asks for, a line each; with names of extras, also what these ask for.

pip can't check hashes and install a folder in one go. So make installs these first, with hashes, and then the
folder.
"""

import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def wanted(*extras: str) -> list[str]:
    """The requirements of the project, and of some of its extras."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(r for extra in extras for r in project["optional-dependencies"][extra])]


if __name__ == "__main__":
    print("\n".join(wanted(*sys.argv[1:])))
