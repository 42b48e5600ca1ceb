"""URIs of cameras and sinks: ``scheme:target?key=value&...``.

The part after the first ``?`` is the query (write a ``?`` inside a path as ``%3F``), except in ``rtsp://`` targets,
whose query belongs to the camera. Query values are converted to the types of a msgspec struct; an unknown key is an
error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from edge.errors import UsageError

__all__ = ["Uri", "nearest", "parse_uri", "query_as", "secrets_in", "without_secrets"]

T = TypeVar("T", bound=msgspec.Struct)

_WORD = re.compile(r"[\w.-]{1,40}")
_VALUE = re.compile(r"(?i)((?:^|[?&\s])(?:pass|passwd|password|pwd|secret|token|user-pw|proxy-pw)=)[^&\n]*")
"""Values whose key says that they are secret."""
_PASSWORD = re.compile(r"(?i)((?://|\b(?:mqtt|rtsp|http|ws)s?:(?!//))[^/?#:@\s]*:(?!\d{1,5}[/?#]))[^\n]*(?=@)")
"""The password in ``//user:password@host``, with or without the slashes.

It may hold any sign, so what is hidden reaches to the last ``@`` of a line: rather too much than too little. Only what
reads as a port, digits before a slash, is none."""


@dataclass(frozen=True, slots=True)
class Uri:
    """A parsed URI: ``target`` is percent-decoded, ``query`` as written, ``text`` the original."""

    scheme: str
    target: str
    query: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


def nearest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean X?"`` for the nearest known word, else ``"; known: a, b, c"``."""
    names = sorted(known)
    swapped = [name for name in names if sorted(name) == sorted(word)]  # difflib would take another letter as no worse
    close = swapped or difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"


def parse_uri(text: str, what: str, known: Iterable[str], reserved: Iterable[str] = ()) -> Uri:
    """Split ``text``; ``what`` (``"camera"``, ``"sink"``) and the known schemes are for the message.

    Raises
    ------
    UsageError
        No scheme, an unknown one, one not built yet, or a query key given twice.
    """
    scheme, colon, rest = text.partition(":")
    if scheme in set(reserved):
        raise UsageError(f"{what} {scheme}: is planned and not built yet in this version{nearest('', known)}")
    if not colon or scheme not in set(known):
        seen = f"{scheme}:" if colon else without_secrets(text)  # what follows a foreign scheme may hold a password
        raise UsageError(f"{what} {seen!r} has no known scheme{nearest(scheme, known)}")
    if rest.startswith("rtsp://"):
        return Uri(scheme, rest, {}, text)
    target, _, query_text = rest.partition("?")
    pairs = parse_qsl(query_text, keep_blank_values=True)
    query = dict(pairs)
    if len(query) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UsageError(f"{what} {scheme}: gives the parameter {twice!r} twice; give each once")
    return Uri(scheme, unquote(target), query, text)


def query_as(uri: Uri, struct: type[T]) -> T:
    """The query of ``uri`` as ``struct``: fields by name, text converted to their types.

    Raises
    ------
    UsageError
        An unknown key (with the nearest known one) or a value of the wrong type.
    """
    known = struct.__struct_encode_fields__
    for key in uri.query:
        if key not in known:
            shown = key if _WORD.fullmatch(key) else "***"  # a password with a question mark is cut there
            raise UsageError(f"{uri.scheme}: has no parameter {shown!r}{nearest(key, known)}")
    try:
        return msgspec.convert(dict(uri.query), struct, strict=False)
    except msgspec.ValidationError as error:
        seen, _, path = str(error).partition(" - at ")
        key = path.strip("`$.")
        given = f" {key}={uri.query[key]}:" if key in uri.query else ""
        raise UsageError(without_secrets(f"{uri.scheme}:{given} {seen.removesuffix(', got `str`')}")) from error


def secrets_in(text: str) -> list[str]:
    """The passwords of a URI, as written."""
    found = [*_PASSWORD.finditer(_VALUE.sub(r"\1***", text)), *_VALUE.finditer(text)]
    return [one[0].removeprefix(one[1]) for one in found]


def without_secrets(text: str) -> str:
    """A URI, or lines that hold some, fit for messages and records: passwords are ``***``."""
    return _PASSWORD.sub(r"\1***", _VALUE.sub(r"\1***", text))
