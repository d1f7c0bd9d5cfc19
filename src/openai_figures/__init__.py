"""What one looks at: pictures with a text that says the same, cards that update in place, tables as text.

Each name is fetched from its module when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai_figures.figure import Figure
    from openai_figures.progress import Card, Progress, bar, in_notebook
    from openai_figures.tables import Listing, html_table, text_table

__all__ = ["Card", "Figure", "Listing", "Progress", "bar", "html_table", "in_notebook", "text_table"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    places = {"Figure": "figure", "Listing": "tables", "html_table": "tables", "text_table": "tables"}
    return getattr(import_module(f"{__name__}.{places.get(name, 'progress')}"), name)
