"""Text without secrets: known ones wherever they stand, and whatever looks like one.

Everything that leaves with a report goes through one :class:`Scrubber`, so that no author of a part has to think of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from edge.config import Kit
from edge.uri import secrets_in, without_secrets

__all__ = ["Scrubber", "scrubber_for"]

HIDDEN = "***"
SHORTEST = 4
"""A known secret shorter than this would take half of the text with it; patterns still find it in its place."""
MOST_BYTES = 64 * 1024
_SECRET_NAME = re.compile(r"(?i)pass|secret|token|credential|api_?key|private")
_PATTERNS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
    re.compile(r"(?i)(?<=bearer )\S+|(?<=basic )[A-Za-z0-9+/=]{8,}"),
    re.compile(
        r"(?i)(?<![a-z_])(?:password|passwd|pwd|secret|token|api_?key)[\"']?\s*[=:]\s*[\"']?(?!\*\*\*)[^\s\"'&,;]+"
    ),
)


class Scrubber:
    """Replaces secrets by ``***``, and the home folder by ``~``."""

    def __init__(self, secrets: Iterator[str] | list[str], home: str = "") -> None:
        known = {form for secret in secrets for form in (secret, unquote(secret)) if len(form) >= SHORTEST}
        self._known = sorted(known, key=len, reverse=True)
        self._home = home if len(home) > 1 else ""

    def __call__(self, text: str) -> str:
        """The same text, fit to be sent to somebody else."""
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        text = "\n".join(without_secrets(line) for line in text.split("\n"))
        for pattern in _PATTERNS:
            text = pattern.sub(HIDDEN, text)
        return text.replace(self._home, "~") if self._home else text


def scrubber_for(kit: Kit, environment: Mapping[str, str]) -> Scrubber:
    """A scrubber that knows the secrets of a kit, of the files it names, and of the environment."""
    return Scrubber([*_of_kit(kit), *_of_environment(environment)], environment.get("HOME", ""))


def _of_kit(kit: Kit) -> Iterator[str]:
    for uri in (kit.rgb, kit.thermal, *kit.sinks):
        if uri is None:
            continue
        yield from secrets_in(uri)
        yield from (line for key, path in parse_qsl(uri.partition("?")[2]) if key == "password_file"
                    for line in _lines(Path(path)))  # fmt: skip


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            yield from file.read(MOST_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return  # what this user cannot read cannot be in the report either


def _of_environment(environment: Mapping[str, str]) -> Iterator[str]:
    yield from (value for name, value in environment.items() if _SECRET_NAME.search(name))
