"""The files that are compared, read line by line, with the hash that says which files they were."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.errors import InputError

__all__ = ["Source", "SourceLines"]


@dataclass(frozen=True, slots=True)
class Source:
    """A file's name without its folder, and the SHA-256 of what was read from it, in hex."""

    file: str
    sha256: str


class SourceLines:
    """The lines of a file, once. ``wanted`` is what an error says about the file that should have been given."""

    def __init__(self, path: Path, wanted: str) -> None:
        self.path, self.wanted = path, wanted
        self._hash = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        """Each line without its end; InputError when the file cannot be read or holds nothing."""
        blank = True
        try:
            with self.path.open("rb") as file:
                for line in file:
                    self._hash.update(line)
                    blank = blank and not line.strip()
                    yield line.rstrip(b"\r\n")
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}; {self.wanted}") from error
        if blank:
            raise InputError(f"{self.path} is empty; {self.wanted}")

    def source(self) -> Source:
        """What was read, once all lines were."""
        return Source(self.path.name, self._hash.hexdigest())
