"""The protocols of ``mmrphys evaluate``, by name: how each measures, and what it prints and writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.yardstick import evaluation, paper, paper_report, paper_tables, report, tables

__all__ = ["PROTOCOLS", "Protocol"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """``evaluate`` gives a result and its rows, or None when interrupted; ``text`` is of a result for a terminal.

    ``save`` writes the report of both into a folder and gives its files.
    """

    evaluate: Callable[..., tuple[Any, list[Any]] | None]
    text: Callable[[Any], str]
    save: Callable[[Any, Any, Path], list[Path]]


PROTOCOLS: Mapping[str, Protocol] = {
    "deployed": Protocol(evaluation.evaluate, tables.text_from_evaluation, report.save_report),
    "paper": Protocol(paper.evaluate, paper_tables.text_from_evaluation, paper_report.save_report),
}
