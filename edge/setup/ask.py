"""Who answers the questions of set-up: a person at a terminal, or the best choice for everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rich.console import Console
from rich.prompt import Confirm, Prompt

from edge.errors import UsageError

__all__ = ["Asker", "Best", "Person"]

NOBODY = "setup asks questions and nobody answers; run it in a terminal, or with --yes, which takes the best"


class Asker(Protocol):
    """Answers questions. Every question has a best answer, the default."""

    def one_of(self, question: str, options: Sequence[str], default: int) -> str:
        """One of ``options`` by its number from 1 (0: none), or something else that was typed in full; empty: none."""

    def text(self, question: str, default: str) -> str:
        """A word."""

    def yes(self, question: str, *, default: bool) -> bool:
        """Yes or no."""


class Best:
    """Takes every default."""

    def one_of(self, question: str, options: Sequence[str], default: int) -> str:  # noqa: ARG002 - the protocol's
        """The default."""
        return options[default - 1] if default else ""

    def text(self, question: str, default: str) -> str:  # noqa: ARG002 - the protocol's
        """The default."""
        return default

    def yes(self, question: str, *, default: bool) -> bool:  # noqa: ARG002 - the protocol's
        """The default."""
        return default


class Person:
    """Somebody at a terminal; UsageError when nobody is there."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def one_of(self, question: str, options: Sequence[str], default: int) -> str:
        """See :class:`Asker`; asks again after a number that is none."""
        while True:
            said = self._asked(f"{question} (number, 0 for none, or an address)", str(default))
            if not said.isdigit():
                return said
            if int(said) <= len(options):
                return options[int(said) - 1] if int(said) else ""
            self._console.print(f"  there is no {said}; give 0 to {len(options)}")

    def text(self, question: str, default: str) -> str:
        """See :class:`Asker`."""
        return self._asked(question, default)

    def yes(self, question: str, *, default: bool) -> bool:
        """See :class:`Asker`."""
        try:
            return Confirm.ask(question, console=self._console, default=default)
        except EOFError as error:
            raise UsageError(NOBODY) from error

    def _asked(self, question: str, default: str) -> str:
        try:
            return Prompt.ask(question, console=self._console, default=default).strip()
        except EOFError as error:
            raise UsageError(NOBODY) from error


_person: type[Asker] = Person
_best: type[Asker] = Best
