"""An HL7 receiver on loopback that takes messages, refuses them, hangs, cuts connections and restarts."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Literal

from fakes.broker import free_port

__all__ = ["Manner", "MllpServer"]

Manner = Literal["AA", "AE", "AR", "hang", "cut", "cut in the middle", "wrong id", "garbage"]


class MllpServer:
    """``manner`` is asked for each message (its number from 0, its text) how to treat it; one client at a time.

    ``taken`` holds what was acknowledged with AA, ``seen`` all that came whole, ``clients`` counts connections.
    ``stop`` and ``start`` are a restart.
    """

    def __init__(
        self,
        manner: Callable[[int, str], Manner] = lambda *_: "AA",
        tls: ssl.SSLContext | None = None,
        port: int | None = None,
    ) -> None:
        self.port = port or free_port()
        self.taken: list[str] = []
        self.seen: list[str] = []
        self.clients = 0
        self._manner = manner
        self._tls = tls
        self._ears: socket.socket | None = None
        self._client: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._ears = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._listen, args=(self._ears,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse newcomers and cut who is there."""
        for one in (self._ears, self._client):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        if self._thread is not None:
            self._thread.join(5.0)
            assert not self._thread.is_alive()
        self._ears = self._client = self._thread = None

    def _listen(self, ears: socket.socket) -> None:
        with contextlib.suppress(OSError):  # stopped
            while True:
                client, _ = ears.accept()
                self.clients += 1
                with contextlib.suppress(OSError):
                    self._client = client if self._tls is None else self._tls.wrap_socket(client, server_side=True)
                    self._serve(self._client)
                client.close()

    def _serve(self, client: socket.socket) -> None:
        data = b""
        with client:
            while chunk := client.recv(4096):
                data += chunk
                while b"\x1c\r" in data:
                    block, _, data = data.partition(b"\x1c\r")
                    assert block.startswith(b"\x0b")
                    if not self._treat(client, block[1:].decode()):
                        return

    def _treat(self, client: socket.socket, text: str) -> bool:
        manner = self._manner(len(self.seen), text)
        self.seen.append(text)
        name = text.split("\r", 1)[0].split("|")[9]
        code = manner if manner in {"AA", "AE", "AR"} else "AA"
        head = f"MSH|^~\\&|x|y|mmrphys|kit-7|20261122||ACK^R01|{len(self.seen)}|T|2.6"
        answer = f"\x0b{head}\rMSA|{code}|{name}|because\r\x1c\r".encode()
        if manner == "hang":
            return True
        if manner == "cut":
            return False
        if manner == "cut in the middle":
            client.sendall(answer[:30])
            return False
        if manner == "wrong id":
            answer = answer.replace(name.encode(), b"another")
        if manner == "garbage":
            answer = b"HTTP/1.1 400 Bad Request\r\n\r\n\x0bno message\x1c\r"
        if manner == "AA":
            self.taken.append(text)
        client.sendall(answer)
        return True
