"""``python -m edge`` is ``mmrphys``."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

__all__ = ["main"]


def main() -> int:
    """Run the process's command line. SIGINT or SIGTERM while it still loads ends it quietly with 0: nothing began."""
    before = {number: signal.signal(number, _leave) for number in (signal.SIGINT, signal.SIGTERM)}
    from edge.cli import main as command_line  # noqa: PLC0415 - loads with those handlers in force

    if _command() != "run":  # which takes them over without a gap
        for number, handler in before.items():
            signal.signal(number, handler)
    return command_line()


def _command() -> str | None:
    return next((word for word in sys.argv[1:] if not word.startswith("-")), None)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)  # nothing is open yet, and an exception that strikes in a callback of the import system would be lost


if __name__ == "__main__":
    sys.exit(main())
