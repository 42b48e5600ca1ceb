"""What the program says on standard error, without the secrets that came to it in URIs: log lines and tracebacks.

Parts here take secrets out of what they say themselves. This is behind them, for what libraries log and raise.
"""

from __future__ import annotations

import logging
import traceback

from edge.uri import without_secrets

__all__ = ["ScrubbingFormatter", "traceback_lines"]


class ScrubbingFormatter(logging.Formatter):
    """A formatter whose lines, tracebacks included, are :func:`edge.uri.without_secrets`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return without_secrets(super().format(record))


def traceback_lines(error: BaseException) -> str:
    """The traceback of ``error`` with its causes, fit to be shown."""
    return without_secrets("".join(traceback.format_exception(error)))
