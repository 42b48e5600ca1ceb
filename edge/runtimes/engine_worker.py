"""The process of an engine: ``python -m edge.runtimes.engine_worker SOCKET GRAPH MODULE:FUNCTION``.

A CUDA error can spoil a process for good, and a driver can take it down: here nothing else is lost with it. It serves
a run on the descriptor ``SOCKET`` until that is gone, and ends after the first error. ``GRAPH`` is the descriptor of
the graph's verified bytes, ``MODULE:FUNCTION`` opens the engine as
:func:`edge.runtimes.engine_session.open_session` does.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
from multiprocessing.connection import Connection
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bundle import Graph
from edge.engine_build import Progress
from edge.errors import BundleError, MissingExtraError
from edge.runtimes.engine_link import Failed, Ready, Setup, Underway, Waves, send

__all__ = ["OpenSession", "Session", "main", "serve"]


class Session(Protocol):
    """An open engine."""

    name: str

    def infer(self, frames: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Float32 ``[B, T]`` of every output for ``[B, C, F, S, S]``."""


class OpenSession(Protocol):
    """Opens the engine of a graph for clips of a shape."""

    def __call__(self, graph: Graph, shape: tuple[int, ...], progress: Progress) -> Session:
        """MmrphysError when it cannot."""


def serve(link: Connection, onnx: bytes, open_session: OpenSession) -> None:
    """Open the engine that the other side asks for and answer its clips; returns when either side is done."""
    try:
        setup = msgspec.json.decode(link.recv_bytes(1 << 20), type=Setup)
        session = open_session(Graph(setup.entry, onnx, ""), setup.shape, _reporter(link))
        send(link, Ready(session.name))
        while True:
            frames = np.frombuffer(link.recv_bytes(), np.float32).reshape(setup.shape)
            waves = session.infer(frames)
            send(link, Waves(waves[setup.tasks[0]].shape[-1]))
            link.send_bytes(np.stack([waves[task] for task in setup.tasks]).tobytes())
    except (EOFError, ConnectionError):
        return  # the other side is gone
    except Exception as error:  # noqa: BLE001 - the edge of this process: whatever went wrong is told, and it ends
        kind = "missing" if isinstance(error, MissingExtraError) else "fault"
        send(link, Failed("bundle" if isinstance(error, BundleError) else kind, _told(error)))  # type: ignore[arg-type]


def _told(error: Exception) -> str:
    text = str(error) if type(error).__module__.startswith("edge.") else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:2000]


def _reporter(link: Connection) -> Progress:
    """Sends progress on; a build stops when nobody is there to hear of it."""

    def progress(phase: str, share: float) -> bool:
        try:
            send(link, Underway(phase, share))
        except OSError:
            return False
        return True

    return progress


def main(arguments: list[str]) -> None:
    """Serve, and leave without a destructor: after a CUDA error one of TensorRT's may hang."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for number in (signal.SIGINT, signal.SIGTERM):  # the run ends in order and then closes the socket
        signal.signal(number, signal.SIG_IGN)
    os.dup2(2, 1)  # standard output belongs to the run's records
    with os.fdopen(int(arguments[1]), "rb") as file:
        onnx = file.read()
    module, _, function = arguments[2].partition(":")
    serve(Connection(int(arguments[0])), onnx, getattr(importlib.import_module(module), function))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
