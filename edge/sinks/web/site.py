"""The site: the page's files, the socket that feeds it, ``/session``, ``/metrics`` and ``/healthz``; and its guard."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from edge.sinks.web.callers import Callers, Peer
from edge.sinks.web.clients import Clients
from edge.sinks.web.door import Door
from edge.sinks.web.metrics import CONTENT_TYPE

__all__ = ["Answers", "make_site"]

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_LONGEST_TOKEN = 256
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What a site tells programs: the metrics, and whether all is well with the numbers behind that."""

    metrics: Callable[[], str]
    health: Callable[[], tuple[bool, dict[str, Any]]]


def make_site(door: Door, callers: Callers, clients: Clients, answers: Answers, *, secure: bool) -> ASGIApp:
    """The whole site; ``secure``: it is served by TLS."""
    site = _Site(door, callers, clients, answers, secure=secure)
    return _Guard(Starlette(routes=site.routes()), door, callers)


class _Site:
    def __init__(self, door: Door, callers: Callers, clients: Clients, answers: Answers, *, secure: bool) -> None:
        self._door, self._callers, self._clients, self._answers = door, callers, clients, answers
        self._secure = secure

    def routes(self) -> list[BaseRoute]:
        return [
            *_files(),
            Route("/session", self._session, methods=["GET", "POST"]),
            Route("/metrics", self._metrics),
            Route("/healthz", self._healthz),
            WebSocketRoute("/live", self._live),
        ]

    async def _session(self, request: Request) -> Response:
        """POST brings the token and gets a cookie in its place; GET tells whether the visitor may look."""
        if request.method == "POST":
            given = b""
            async for part in request.stream():
                given += part
                if len(given) > _LONGEST_TOKEN:
                    return _refusal()
            if not self._door.is_token(given.decode("latin-1")):
                return _refusal()
            response = Response(status_code=204)
            response.set_cookie(
                _cookie(request), self._door.session, httponly=True, samesite="strict", secure=self._secure
            )
            return response
        return Response(status_code=204) if self._admits(request) else _refusal()

    async def _metrics(self, request: Request) -> Response:
        if not self._admits_program(request):
            return _refusal()
        return Response(self._answers.metrics(), media_type=CONTENT_TYPE)

    async def _healthz(self, request: Request) -> Response:
        if not self._admits_program(request):
            return _refusal()
        well, numbers = self._answers.health()
        return JSONResponse(numbers, 200 if well else 503)

    async def _live(self, socket: WebSocket) -> None:
        if self._admits(socket):
            with self._callers.staying(_peer(socket.scope)):
                await self._clients.serve(socket)
        else:
            await socket.close()

    def _admits(self, visitor: HTTPConnection) -> bool:
        return self._door.admits(visitor.headers, visitor.cookies, _cookie(visitor))

    def _admits_program(self, request: Request) -> bool:
        peer = request.client.host if request.client else ""
        return self._admits(request) or self._door.admits_program(request.headers, peer)


class _Guard:
    """Names and origins are checked before anything else, and every answer carries the same headers."""

    def __init__(self, site: ASGIApp, door: Door, callers: Callers) -> None:
        self._site, self._door, self._callers = site, door, callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._site(scope, receive, send)
            return
        await self._answer(scope, receive, send)
        self._callers.answered(_peer(scope))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        answer = _with_headers(send)
        if not self._door.known_name(headers.get("host", "")):
            text = "This page is not known by that name; name it with ?names= in the sink's URI.\n"
            await _refuse(scope, receive, answer, PlainTextResponse(text, 421))
        elif self._door.unknown_proxy(headers):
            text = "A proxy passed this on; name it with ?names= in the sink's URI, then the page asks for its token.\n"
            await _refuse(scope, receive, answer, PlainTextResponse(text, 421))
        elif not self._door.same_site(headers):
            await _refuse(scope, receive, answer, PlainTextResponse("Pages of other sites may not ask.\n", 403))
        else:
            await self._site(scope, receive, answer)


async def _refuse(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    if scope["type"] == "http":
        await response(scope, receive, send)
    else:
        await WebSocket(scope, receive, send).close()


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return answer


def _files() -> list[Route]:
    """A route for each of the page's files, which are read once: nothing a visitor says becomes a path."""
    folder = resources.files(__package__).joinpath("static")
    return [
        Route("/" if file.name == "index.html" else f"/{file.name}", _file(file.read_bytes(), file.name))
        for file in folder.iterdir()
        if any(file.name.endswith(ending) for ending in _TYPES)
    ]


def _file(data: bytes, name: str) -> Callable[[Request], Awaitable[Response]]:
    kind = _TYPES[name[name.rindex(".") :]]

    async def answer(_: Request) -> Response:
        return Response(data, media_type=kind)

    return answer


def _peer(scope: Scope) -> Peer:
    return scope["client"] or ("", 0)


def _cookie(visitor: HTTPConnection) -> str:
    """Cookies do not tell ports apart, so their name does: the port that the browser sees."""
    port = re.search(r":(\d{1,5})$", visitor.headers.get("host", ""))
    return f"mmrphys-{port[1] if port else 0}"


def _refusal() -> Response:
    return PlainTextResponse(
        "This needs the token: open the link that was printed at the start, or send it as a bearer token.\n",
        401,
        {"WWW-Authenticate": "Bearer"},
    )
