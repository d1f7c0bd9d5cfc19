"""From a table of questions and answers to the JSONL file that a fine-tune takes.

`read` reads a file of any usual format, `analyse` looks at it and reports what it found and what should be done
about it, and the report writes one example per line: in the form of 2022,
``{"prompt": "…?", "completion": " …"}``, or in today's, a conversation of messages. Each name is fetched from its
module when it is first used: who needs an error's class does not wait for pandas.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from openai_data.finding import Finding, Form
    from openai_data.reading import read
    from openai_data.report import Report, analyse
    from openai_data.table import COLUMNS, Table

__all__ = ["COLUMNS", "Finding", "Form", "Report", "Table", "analyse", "read", "read_table"]

_MODULES = {"Finding": "finding", "Form": "finding", "read": "reading", "COLUMNS": "table", "Table": "table"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'report')}"), name)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a file of questions and answers as a data frame with the columns ``prompt`` and ``completion``.

    Raises:
        LessonError: it can't be read; the message says what is wrong.
    """
    from openai_data.reading import read

    return read(path).frame()
