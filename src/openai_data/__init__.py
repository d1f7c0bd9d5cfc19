"""From a table of questions and answers to the JSONL file that a fine-tune takes.

`read` reads a file of any usual format, `analyse` looks at it and reports what it found and what should be done
about it, and the report writes one example per line: in the form of 2022,
``{"prompt": "…?", "completion": " …"}``, or in today's, a conversation of messages. Each name is fetched from its
module when it is first used: who needs an error's class does not wait for pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from openai_data.costs import prices
    from openai_data.reading import read
    from openai_data.report import Report, analyse

__all__ = ["Form", "Report", "analyse", "prices", "read"]

Form = Literal["completion", "chat"]
"""What an example is: a prompt with its completion, or a conversation."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = {"read": "reading", "prices": "costs"}.get(name, "report")
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return __all__
