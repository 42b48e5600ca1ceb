"""Bedside pages that stop reading: neither the device nor another page waits for them, and they are given up."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import time
from pathlib import Path
from typing import Any

from fakes.bedside import Bedside
from faults.finding import Finding

from edge.sinks.web.clients import MOST

__all__ = ["run"]

_BEDS = 16
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_PATIENCE_S = 90.0
_BEHIND_S = 2.0
"""A page that reads sees the looks of this many seconds before at the latest; one is made in each round here."""


def run(folder: Path, *, full: bool) -> Finding:
    """Three times, with the page's own patience of 15 s; short: once, with half a second."""
    rounds = 3 if full else 1
    found = [_round(None if full else 0.5) for _ in range(rounds)]
    figures = {
        "pages that stall": rounds * (MOST - 1), "given up": sum(one["given up"] for one in found),
        "last of them given up after, s": round(max(one["after, s"] for one in found), 1),
        "longest of 16 records put, ms": round(1000 * max(one["longest, s"] for one in found), 1),
        "looks that a page beside them was behind, most": max(one["behind"] for one in found),
    }  # fmt: skip
    failures = [f"{one['stalled'] - one['given up']} pages were not given up" for one in found if not one["all"]]
    failures += [f"a page beside them was {one['behind']} looks behind" for one in found if one["behind"] > _BEHIND_S]
    return Finding(rounds, figures, tuple(failures))


def _round(stall_s: float | None) -> dict[str, Any]:
    from websockets.sync.client import connect

    kit = Bedside()
    with contextlib.redirect_stderr(io.StringIO()):  # the links
        kit.sink.open()
    clients = kit.sink._clients
    clients._stall_s = clients._stall_s if stall_s is None else stall_s
    _look(kit)
    hanging = [_stalled(kit.sink.port) for _ in range(MOST - 1)]
    begin_s, longest_s, behind = time.monotonic(), 0.0, 0
    with connect(f"ws://127.0.0.1:{kit.sink.port}/live", max_size=None) as page:
        while clients.count != 1 and time.monotonic() - begin_s < _PATIENCE_S:
            for client in tuple(clients._open):
                client.seq = -1  # every snapshot with all waves, so that buffers fill soon
            kit.step()
            put_s = time.perf_counter()
            _look(kit)
            longest_s = max(longest_s, time.perf_counter() - put_s)
            told = max(card["pts_ms"] for card in json.loads(page.recv(timeout=10))["cards"])
            behind = max(behind, kit.second - round(told / 1000))
        left = clients.count - 1
    after_s = time.monotonic() - begin_s
    kit.sink.close()
    for one in hanging:
        one.close()
    given_up = MOST - 1 - left
    return {"stalled": MOST - 1, "given up": given_up, "all": left == 0, "after, s": after_s, "longest, s": longest_s,
            "behind": behind}  # fmt: skip


def _look(kit: Bedside) -> None:
    for person in range(_BEDS):
        kit.look(person=person, zone=f"z{person}")
        kit.waves(person=person, zone=f"z{person}")


def _stalled(port: int) -> socket.socket:
    """A page that asks for everything and never reads."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect(("127.0.0.1", port))
    plain.sendall(
        f"GET /live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return plain
