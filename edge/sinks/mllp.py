"""MLLP: HL7 messages in blocks on a stream of bytes (HL7 Minimal Lower Layer Protocol, release 1). No I/O.

A block is 0B, the message, 1C 0D. The protocol has no length and no check: what stands between blocks is skipped, and
a block that does not end is given up by its length.
"""

from __future__ import annotations

__all__ = ["LONGEST", "BlockReader", "block_from_text"]

LONGEST = 1 << 16
"""More bytes than any answer to us has."""
_BEGIN, _END = b"\x0b", b"\x1c\r"


def block_from_text(text: str) -> bytes:
    """A message as a block of UTF-8; ValueError when it holds a control character that would end it."""
    if any(sign in text for sign in "\x0b\x1c"):
        raise ValueError("the message holds a control character of its framing")
    return _BEGIN + text.encode() + _END


class BlockReader:
    """Takes bytes as they come and gives the texts of whole blocks."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The messages that ``data`` completes.

        Raises
        ------
        ValueError
            A block is longer than LONGEST, or no UTF-8.
        """
        self._rest += data
        found = []
        while (begin := self._rest.find(_BEGIN)) >= 0:
            end = self._rest.find(_END, begin)
            if end < 0:
                break
            found.append(self._rest[begin + 1 : end].decode())
            self._rest = self._rest[end + len(_END) :]
        self._rest = self._rest[begin:] if begin >= 0 else b""
        if len(self._rest) > LONGEST:
            raise ValueError(f"a block of more than {LONGEST} bytes")
        return found
