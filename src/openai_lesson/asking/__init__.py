"""Asking models: one answer, two side by side, streamed, with probabilities, and in a playground."""

from openai_lesson.asking.plain import MAX_TOKENS, Comparison, ask, compare
from openai_lesson.asking.streaming import Token, stream

__all__ = ["MAX_TOKENS", "Comparison", "Token", "ask", "compare", "stream"]
