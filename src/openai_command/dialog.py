"""Saying things and asking yes or no, also where nobody can answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from openai_command.terminal import can_ask
from openai_figures import visible


@dataclass
class Dialog:
    """Says things and asks questions. Where nobody can answer, or with `quiet`, each answer is yes.

    With `silent`, it does so without a word.
    """

    quiet: bool
    silent: bool = False
    _told: bool = field(default=False, init=False)

    def say(self, text: str = "") -> None:
        """Print a line."""
        if not self.silent:
            print(visible.sentence(text))

    def accepts(self, question: str) -> bool:
        """Ask; an empty answer is yes."""
        if self.quiet or not can_ask():
            if not self.quiet and not self._told:
                self.say("(Nobody can answer here, so the recommended answers are taken, as with -q.)")
                self._told = True
            self.say(f"{question} [Y/n]: Y")
            return True
        return input(f"{visible.sentence(question)} [Y/n]: ").strip().lower() not in ("n", "no")
