"""``web:``: a page for the bedside, served from the device, with two waves, HR and RR, and what to do when they lack.

It shows numbers and waves, never a picture. ``address.py`` tells where it may be served, ``door.py`` who may come in,
``board.py`` what is shown, ``clients.py`` how it gets there; the page itself is in ``static/``.
"""

from __future__ import annotations

from edge.sinks import Sink, SinkContext
from edge.sinks.web.address import address_from_uri
from edge.sinks.web.sink import WebSink
from edge.uri import Uri

__all__ = ["WebSink", "from_uri"]


def from_uri(uri: Uri, context: SinkContext) -> Sink:
    """The sink for ``web:HOST:PORT``."""
    return WebSink(address_from_uri(uri, allow_plaintext=context.allow_plaintext), context)
