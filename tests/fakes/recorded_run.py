"""A recorded run: the file, and the records that the same run sent elsewhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Recorded", "records_of"]


@dataclass(frozen=True)
class Recorded:
    """A recording, and the records that the same run sent to a file."""

    path: Path
    lines: list[dict[str, Any]]


def records_of(path: Path) -> list[dict[str, Any]]:
    """The records of a file of the sink ``jsonl:``."""
    return [json.loads(line) for line in path.read_text().splitlines()]
