"""The open pages: at most eight, each with one slot in which the newest snapshot replaces the one before.

Nothing waits in a queue. A page that reads slowly gets fewer, newer snapshots; one that reads nothing is given up. All
of it happens on the server's own thread, so no page can hold the frame loop or another page.

A page sends a number every now and then, and every snapshot carries the newest number that came before it was made. So
a page knows that a snapshot is no older than its own question, whatever lay between, and no clocks are compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

__all__ = ["MOST", "Clients", "Snapshot"]

MOST = 8
FULL, GARBAGE, STALLED = 4008, 4003, 4009
"""Why a page is sent away."""
_QUESTION = re.compile(r"(\d{1,9})( aim)?")
_HEARTBEAT_S = 1.0
_AIM_S = 0.25
_PAUSE_S = 0.15
_STALL_S = 15.0

Snapshot = Callable[[int, bool], tuple[dict[str, Any], int]]
"""The present, with the waves after a record number; and the number to ask for next."""


@dataclass(slots=True, eq=False)
class _Client:
    news: asyncio.Event = field(default_factory=asyncio.Event)
    echo: int = 0
    aim: bool = False
    seq: int = -1


class Clients:
    """Serves pages by ``snapshot``. All but ``count`` belongs to the server's event loop."""

    def __init__(self, snapshot: Snapshot, *, stall_s: float = _STALL_S) -> None:
        self._snapshot = snapshot
        self._stall_s = stall_s
        self._open: set[_Client] = set()
        self._encoder = msgspec.json.Encoder()

    @property
    def count(self) -> int:
        """How many pages are open."""
        return len(self._open)

    def wake(self) -> None:
        """There is something new to show."""
        for client in self._open:
            client.news.set()

    async def farewell(self) -> None:
        """A moment for every page to see the last of it."""
        self.wake()
        await asyncio.sleep(2 * _PAUSE_S if self._open else 0.0)

    async def serve(self, socket: WebSocket) -> None:
        """One page, until it leaves."""
        await socket.accept()
        if len(self._open) >= MOST:
            await socket.close(FULL, f"{MOST} pages are open already")
            return
        client = _Client()
        self._open.add(client)
        tasks = [asyncio.create_task(work(socket, client)) for work in (self._listen, self._send)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code = next(iter(done)).result()
        finally:
            self._open.discard(client)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if code is not None:
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError, RuntimeError, WebSocketDisconnect):
                await asyncio.wait_for(socket.close(code), 1.0)

    async def _listen(self, socket: WebSocket, client: _Client) -> int | None:
        """Take the page's numbers; gives why to send it away, None when it left by itself."""
        while True:
            try:
                found = _QUESTION.fullmatch(await socket.receive_text())
            except (WebSocketDisconnect, RuntimeError):
                return None
            except KeyError:  # bytes
                found = None
            if found is None:
                return GARBAGE
            client.echo = int(found[1])
            if bool(found[2]) and not client.aim:
                client.news.set()
            client.aim = bool(found[2])

    async def _send(self, socket: WebSocket, client: _Client) -> int | None:
        """Send the present again and again; the same."""
        while True:
            snapshot, seq = self._snapshot(client.seq, client.aim)
            snapshot["echo"] = client.echo
            client.news.clear()
            try:
                await asyncio.wait_for(socket.send_text(self._encoder.encode(snapshot).decode()), self._stall_s)
            except (TimeoutError, asyncio.TimeoutError):
                return STALLED
            except (WebSocketDisconnect, RuntimeError, OSError):
                return None
            client.seq = seq
            await asyncio.sleep(_PAUSE_S)
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(client.news.wait(), _AIM_S if client.aim else _HEARTBEAT_S)
