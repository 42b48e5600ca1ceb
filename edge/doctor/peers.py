"""The peers that a kit's sinks name, one finding for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edge.doctor import Finding, Subject, explained, ok
from edge.errors import MmrphysError
from edge.sinks import RESERVED, SCHEMES
from edge.uri import Uri, parse_uri

__all__ = ["of_each_peer"]


def of_each_peer(
    subject: Subject, what: str, schemes: tuple[str, ...], judge: Callable[[Uri], Finding]
) -> Iterator[Finding]:
    """What ``judge`` says of every sink with one of the ``schemes``; an error that it raises is its finding."""
    uris = [text for text in subject.kit.sinks if text.partition(":")[0] in schemes] if subject.named else []
    for text in uris:
        try:
            yield judge(parse_uri(text, "sink", SCHEMES, RESERVED))
        except MmrphysError as error:
            yield explained(error)
    if not uris:
        yield ok(f"no {what} in the kit")
