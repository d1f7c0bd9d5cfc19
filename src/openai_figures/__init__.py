"""What one looks at: pictures with a text that says the same, cards that update in place, tables as text."""

from openai_figures.card import Card, in_notebook
from openai_figures.figure import Figure
from openai_figures.progress import Progress, bar
from openai_figures.tables import html_table, text_table

__all__ = ["Card", "Figure", "Progress", "bar", "html_table", "in_notebook", "text_table"]
