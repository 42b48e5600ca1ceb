"""The sink: records onto the board, and the thread in which the site is served."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn

from edge.errors import FaultError
from edge.sinks import SinkContext
from edge.sinks.freshness import DEAD_MS
from edge.sinks.records import Record
from edge.sinks.web.address import Address
from edge.sinks.web.board import Board
from edge.sinks.web.callers import Callers, Listener
from edge.sinks.web.clients import Clients
from edge.sinks.web.door import Door
from edge.sinks.web.metrics import metrics_text
from edge.sinks.web.site import Answers, make_site

__all__ = ["WebSink"]

log = logging.getLogger(__name__)
_START_S = 10.0
_CLOSE_S = 5.0
_MOST_CONNECTIONS = 64
"""Of all kinds, long before the device runs out of files for its cameras."""
_PATIENCE_S = 10.0
_QUESTION_BYTES = 64


class WebSink:
    """Serves the page. ``clock`` is CLOCK_MONOTONIC in ns, as in ``record.mono_ns``.

    ``write`` only puts a record onto the board; who looks at it, and how slowly, is a matter of the server's thread.
    """

    def __init__(self, address: Address, context: SinkContext, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._address = address
        self._context = context
        self._clock = clock
        self._board = Board(context.device, context.kept, recording=context.recording)
        self._lock = threading.Lock()
        self._clients = Clients(self._snapshot)
        self._callers = Callers(_MOST_CONNECTIONS, _PATIENCE_S)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self.port = address.port
        """Where it listens; where the URI says 0, the port that was free."""

    @property
    def name(self) -> str:
        """The URI without its parameters."""
        return self._address.name

    @property
    def connected(self) -> bool:
        """True while the page is served; whether anybody looks does not matter."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def dropped(self) -> int:
        """Always 0: what is not shown was replaced by something newer."""
        return 0

    def open(self) -> None:
        """Serve, and print the link; UsageError when that address or its files cannot be used."""
        token, tls = self._address.token(), self._address.tls()
        listener = Listener(self._address.listen(), self._callers)
        self.port = listener.getsockname()[1]
        answers = Answers(self._metrics, self._health)
        site = make_site(Door(self._address, token), self._callers, self._clients, answers, secure=tls is not None)
        config = uvicorn.Config(
            site, http="h11", ws="websockets-sansio", loop="asyncio", lifespan="off", log_config=None,
            log_level="warning", access_log=False, proxy_headers=False, server_header=False,
            ws_max_size=_QUESTION_BYTES, ws_per_message_deflate=False, timeout_graceful_shutdown=1,
            ssl_context_factory=None if tls is None else lambda *_: tls,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(self._server, listener, started), name=self.name, daemon=True
        )
        self._thread.start()
        started.wait(_START_S)
        if not self.connected:
            raise FaultError(f"{self.name}: the page cannot be served ({self._error}); see the log")
        for line in self._address.links(self.port, token):
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - the one place where the token is told

    def write(self, record: Record, pts_ns: int) -> None:  # noqa: ARG002 - the protocol's; the record holds it
        """Put a record onto the board."""
        with self._lock:
            self._board.take(record)
        self._call(self._clients.wake)

    def close(self) -> int:
        """Let the open pages see the last of it, and stop."""
        thread, self._thread = self._thread, None
        if thread is None or self._server is None:
            return 0
        if self._loop is not None and thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._farewell(self._server), self._loop)
        thread.join(_CLOSE_S)
        return 0

    async def _farewell(self, server: uvicorn.Server) -> None:
        await self._clients.farewell()
        server.should_exit = True

    def _serve(self, server: uvicorn.Server, listener: Any, started: threading.Event) -> None:
        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(started.set)
            sweeper = asyncio.create_task(self._callers.watch())
            await server.serve([listener])
            sweeper.cancel()

        try:
            asyncio.run(run())
        except BaseException as error:  # a thread's edge: told, and `connected` turns False
            log.exception("%s: the page is not served any more", self.name)
            self._error = error
        finally:
            started.set()
            listener.close()

    def _call(self, what: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(what)
            except RuntimeError:  # closed in between
                return

    def _snapshot(self, after_seq: int, aim: bool) -> tuple[dict[str, Any], int]:
        now_ns = self._clock()
        with self._lock:
            if aim and self._context.sight is not None:
                self._board.see(self._context.sight(), now_ns)
            return self._board.snapshot(now_ns, after_seq, aim=aim), self._board.newest_seq()

    def _metrics(self) -> str:
        with self._lock:
            return metrics_text(self._board, self._clients.count, self._clock())

    def _health(self) -> tuple[bool, dict[str, Any]]:
        """Well while the device says that it measures, and numbers came in the last 10 s."""
        with self._lock:
            newest_ns, online = self._board.newest_ns, self._board.online
        silent_s = None if newest_ns is None else round((self._clock() - newest_ns) / 1e9, 1)
        well = online and silent_s is not None and silent_s * 1000 <= DEAD_MS
        return well, {"well": well, "online": online, "silent_s": silent_s}
