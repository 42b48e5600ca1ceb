"""HL7 receivers of the kit: whether they answer and let this device in. No message is sent: none is anybody's.

Whether a receiver takes our messages shows only in a run; what it says of them stands in the log.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edge.doctor import Check, Finding, Subject, ok, poor
from edge.doctor.peers import of_each_peer
from edge.sinks.hl7 import Receiver, receiver_from_uri
from edge.sinks.mllp_link import MllpLink
from edge.uri import Uri

__all__ = ["judged", "look", "refusal"]

SETTLE_S = 0.5
"""Who does not like a client's certificate or address says so after the handshake of TLS 1.3, or closes."""


def look(subject: Subject) -> Iterator[Finding]:
    """One finding for each receiver."""

    def judge(uri: Uri) -> Finding:
        receiver = receiver_from_uri(uri, allow_plaintext=subject.kit.allow_plaintext)
        return judged(receiver, refusal(receiver))

    return of_each_peer(subject, "HL7 receiver", ("hl7", "hl7s"), judge)


def refusal(receiver: Receiver, settle_s: float = SETTLE_S) -> str | None:
    """Why ``receiver`` does not let us in, None when it does. UsageError for files that cannot be used."""
    try:
        link = MllpLink(receiver.host, receiver.port, receiver.tls(), settle_s)
        with contextlib.closing(link):
            return link.ended(settle_s) or None
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)


def judged(receiver: Receiver, reason: str | None) -> Finding:
    """What the receiver's answer means, and what to do about it."""
    secure = receiver.scheme == "hl7s"
    if reason is None:
        return ok(f"{receiver.name} takes the connection, {'TLS' if secure else 'plain'}; no message was sent")
    low = reason.lower()
    if "verify failed" in low:
        fix = "check ca= (the file that signed the receiver's certificate) and the host's name in it"
    elif "alert" in low:
        fix = "check cert= and key= (the certificate that the receiver wants to see) and which TLS it takes"
    elif secure and any(word in low for word in ("handshake", "wrong_version", "record_layer", "eof")):
        fix = "check that this port speaks TLS; where it does not, hl7:// sends vitals in plain text"
    elif "closed the connection" in low:
        fix = "ask its owner to let this device in" + ("" if secure else ", and whether it wants TLS (hl7s://)")
    else:
        fix = "check host, port, firewall, and that the receiver runs; a run would keep its records and try again"
    return poor(f"{receiver.name}: {reason}", fix, needed=True)


_: Check = look
