"""One connection to an HL7 receiver: a message out, its acknowledgement in, over MLLP on TCP or TLS."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time

from edge.sinks.hl7_message import Answer, answer_from_text
from edge.sinks.mllp import BlockReader, block_from_text

__all__ = ["MllpLink"]

_CONNECT_S = 5.0
_CHUNK = 4096


class MllpLink:
    """Connects when made (OSError when it cannot) and is driven by one thread; :meth:`abort` may come from another."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, answer_s: float) -> None:
        self._answer_s = answer_s
        self._reader = BlockReader()
        self._socket = socket.create_connection((host, port), _CONNECT_S)
        if tls is not None:
            try:
                self._socket = tls.wrap_socket(self._socket, server_hostname=host)
            except BaseException:
                self._socket.close()
                raise

    def ask(self, text: str, control_id: str) -> Answer:
        """Send a message and wait for what is said of it.

        Raises
        ------
        OSError
            The connection broke, or no answer came in time.
        ValueError
            The answer is none, or is about another message.
        """
        deadline = time.monotonic() + self._answer_s
        self._socket.settimeout(self._answer_s)
        self._socket.sendall(block_from_text(text))
        answer = answer_from_text(self._block(deadline))
        if answer.control_id != control_id:
            raise ValueError(f"an acknowledgement of {answer.control_id[:60]!r}, want that of {control_id}")
        return answer

    def ended(self, wait_s: float = 0.0) -> str:
        """Why the connection is of no use any more, empty while it is of use; looks for up to ``wait_s``."""
        end_s = time.monotonic() + wait_s
        self._socket.settimeout(0.0)
        ready = select.poll()  # select(2) fails from the 1024th open file on
        ready.register(self._socket, select.POLLIN)
        while ready.poll(1e3 * max(0.0, end_s - time.monotonic())):
            try:
                data = self._socket.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):  # a word of TLS 1.3 itself: its tickets come after the
                continue  # handshake
            except OSError as error:
                return str(error)
            return "the receiver speaks without being asked" if data else "the receiver closed the connection"
        return ""

    def abort(self) -> None:
        """End the connection at once; a call that waits on it fails."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Release the connection."""
        self._socket.close()

    def _block(self, deadline: float) -> str:
        while True:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"no acknowledgement within {self._answer_s:g} s")
            self._socket.settimeout(left_s)
            try:
                data = self._socket.recv(_CHUNK)
            except TimeoutError:  # the library's own says less
                continue
            if not data:
                raise ConnectionError("the receiver closed the connection before it acknowledged")
            if found := self._reader.feed(data):
                return found[0]
