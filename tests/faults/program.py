"""A campaign as a program: rounds, seed, a report in JSON, exit code 1 when the report is not ``ok``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main(run: Callable[[int, int], dict[str, Any]], text: str | None, rounds: int) -> int:
    """Run and print; ``text`` is the help, ``rounds`` the default."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the report there too")
    options = parser.parse_args()
    report = run(options.rounds, options.seed)
    printed = json.dumps(report, indent=2) + "\n"
    sys.stdout.write(printed)
    if options.out:
        options.out.write_text(printed, encoding="utf-8")
    return 0 if report["ok"] else 1
