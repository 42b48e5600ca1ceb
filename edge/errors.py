"""The errors a user can meet. Each knows the exit code the command ends with.

    MmrphysError
    |- UsageError      2  bad option, URI, configuration
    |  '- MissingExtraError  2  an optional part is not installed
    |- InputError      3  a camera, file or recording cannot be used
    |  |- SilentError  3  a live camera has no frame at the moment
    |  '- GoneError    3  a live camera went away
    |- BundleError     4  a bundle is damaged, foreign or does not fit
    |  '- EngineError  4  an engine is damaged or was built elsewhere
    |- FaultError      5  a part failed while running (runtime, sink)
    '- EvidenceError   6  ran well, found nothing that can be trusted

Messages are one line: what was seen, what was wanted, what to do. The original cause is kept with
``raise ... from``.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BundleError",
    "EngineError",
    "EvidenceError",
    "FaultError",
    "GoneError",
    "InputError",
    "MissingExtraError",
    "MmrphysError",
    "SilentError",
    "UsageError",
    "first_line",
]


def first_line(error: BaseException) -> str:
    """The first line of what ``error`` says, or its kind where it says nothing."""
    return str(error).strip().split("\n", maxsplit=1)[0] or type(error).__name__


class MmrphysError(Exception):
    """Anything this program can explain to its user in one line."""

    exit_code: ClassVar[int] = 5


class UsageError(MmrphysError):
    """An option, URI or configuration key is wrong."""

    exit_code = 2


class MissingExtraError(UsageError):
    """A part needs packages that are not installed."""


class InputError(MmrphysError):
    """A camera, file or recording cannot be used."""

    exit_code = 3


class SilentError(InputError):
    """A live camera gave no frame for a while, or is away for the time being; it may be read again."""


class GoneError(InputError):
    """A live camera went away: unplugged, cut off, or out of order until it is opened again."""


class BundleError(MmrphysError):
    """A bundle was refused: a changed byte, a wrong shape, an unknown format."""

    exit_code = 4


class EngineError(BundleError):
    """An engine was refused: a changed byte, another key, another machine."""


class FaultError(MmrphysError):
    """A part failed while running."""

    exit_code = 5


class EvidenceError(MmrphysError):
    """The run went well and nothing trustworthy was found."""

    exit_code = 6
