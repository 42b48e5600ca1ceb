"""A file that holds some room on a disk, to be given up when the disk is full."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["Ballast"]


class Ballast:
    """``file`` None holds nothing. Whether there is room for it, or the disk can be written, is no error."""

    def __init__(self, file: Path | None, size_bytes: int) -> None:
        self._file = file
        self.size_bytes = size_bytes if file else 0

    def give_up(self) -> None:
        """Remove the file."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)

    def restore(self) -> None:
        """Make the file where it is missing or small, as long as there is room for all of it."""
        if self._file is None:
            return
        try:
            if self._file.exists() and self._file.stat().st_size >= self.size_bytes:
                return
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(handle, 0, self.size_bytes)
            finally:
                os.close(handle)
        except OSError:
            self.give_up()
