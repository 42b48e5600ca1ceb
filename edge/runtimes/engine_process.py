"""A run's side of an engine's process: start it, ask it, and know within a bounded time when it is lost."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO, NoReturn

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bundle import Graph
from edge.engine_build import Progress
from edge.errors import BundleError, FaultError, MissingExtraError
from edge.runtimes.engine_link import Answer, Failed, Ready, Setup, Underway, Waves, receive, send

__all__ = ["EngineLostError", "EngineProcess", "Limits"]

OPEN_SESSION = "edge.runtimes.engine_session:open_session"


class EngineLostError(FaultError):
    """The process of an engine ended, failed or fell silent; a new one may do better."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: how long a start may be silent (a build tells of its progress), and how long an answer may take."""

    silence_s: float = 300.0
    answer_s: float = 3.0


class EngineProcess:
    """One process at a time. ``open_session`` names the function that opens the engine there."""

    def __init__(
        self, graph: Graph, shape: tuple[int, ...], tasks: tuple[str, ...], *,
        limits: Limits | None = None, open_session: str = OPEN_SESSION,
    ) -> None:  # fmt: skip
        self._graph = graph
        self._setup = Setup(graph.entry, shape, tasks)
        self._limits = limits or Limits()
        self._open_session = open_session
        self._process: subprocess.Popen[bytes] | None = None
        self._link: Connection | None = None
        self._heard_s = 0.0
        self.engine: str | None = None
        """The engine's name once it is ready."""

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start a new process in place of the one there is, without waiting for it."""
        self.stop()
        own, other = socket.socketpair()
        limit = struct.pack("ll", max(int(self._limits.answer_s), 1), 0)
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):  # a process that is stopped does not stop the run
            own.setsockopt(socket.SOL_SOCKET, option, limit)
        with other, _memory_file(self._graph.data) as graph:
            descriptors = (other.fileno(), graph.fileno())
            command = [sys.executable, "-m", "edge.runtimes.engine_worker", *map(str, descriptors), self._open_session]
            places = [str(Path(path).resolve()) for path in sys.path if path]
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command, pass_fds=descriptors, stdin=subprocess.DEVNULL, env=environment, start_new_session=True,
                cwd="/",  # the interpreter looks for modules where it is started: not where files of others may lie
            )  # fmt: skip
        self._link = Connection(own.detach())
        self._heard_s = time.monotonic()
        self._tell(self._setup)

    def poll(self, wait_s: float, progress: Progress = lambda _phase, _share: True) -> bool:
        """Whether the engine is ready, after at most ``wait_s``.

        Raises
        ------
        EngineLostError
            It never will be.
        MissingExtraError, BundleError
            Nor would another one.
        """
        end_s = time.monotonic() + wait_s
        while self.engine is None:
            silent_s = self._heard_s + self._limits.silence_s
            if self._waiting(max(min(end_s, silent_s) - time.monotonic(), 0.0)):
                self._hear(progress)
            elif time.monotonic() >= silent_s:
                self._lose(f"it was silent for {self._limits.silence_s:.0f} s while starting")
            elif time.monotonic() >= end_s:
                return False
        return True

    def infer(self, frames: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Waves ``[B, T]`` by task of clips of the shape that was agreed; EngineLostError when there is no answer."""
        try:
            self._open_link().send_bytes(np.ascontiguousarray(frames).data.cast("B"))
        except OSError as error:
            self._lose(f"it takes no frames ({error.strerror})", error)
        answer = self._answer()
        if not isinstance(answer, Waves):
            self._lose("it gave no waves")
        data = self._bytes()
        shape = (len(self._setup.tasks), len(frames), answer.samples)
        if len(data) != 4 * np.prod(shape):
            self._lose(f"it gave {len(data)} bytes of waves")
        return dict(zip(self._setup.tasks, np.frombuffer(data, np.float32).reshape(shape), strict=True))

    def stop(self) -> None:
        """End the process: kindly by closing the socket, and after a second by force."""
        self.engine = None
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._process is not None:
            try:
                self._process.wait(1.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                with contextlib.suppress(
                    subprocess.TimeoutExpired
                ):  # one that hangs in its driver cannot be waited for
                    self._process.wait(1.0)
            self._process = None

    def _open_link(self) -> Connection:
        if self._link is None:
            raise EngineLostError("the engine's process was not started")
        return self._link

    def _waiting(self, wait_s: float) -> bool:
        try:
            return self._open_link().poll(wait_s)
        except OSError as error:
            self._lose("it is gone", error)

    def _tell(self, setup: Setup) -> None:
        try:
            send(self._open_link(), setup)
        except OSError as error:
            self._lose("it is gone", error)

    def _hear(self, progress: Progress) -> None:
        """One message of a starting process."""
        answer = self._receive()
        self._heard_s = time.monotonic()
        if isinstance(answer, Ready):
            self.engine = answer.name
        elif isinstance(answer, Underway) and not progress(answer.phase, answer.share):
            self._lose("its build was stopped")

    def _answer(self) -> Answer:
        if not self._waiting(self._limits.answer_s):
            self._lose(f"it gave no answer for {self._limits.answer_s:.0f} s")
        return self._receive()

    def _bytes(self) -> bytes:
        try:
            return self._open_link().recv_bytes()
        except (EOFError, OSError) as error:
            self._lose("it ended", error)

    def _receive(self) -> Answer:
        """The next message; errors that the process tells of are raised here."""
        try:
            answer = receive(self._open_link())
        except (EOFError, OSError, msgspec.MsgspecError) as error:
            self._lose(f"it ended{self._code()}", error)
        if isinstance(answer, Failed):
            if answer.kind == "fault":
                self._lose(answer.text)
            self.stop()
            raise (MissingExtraError if answer.kind == "missing" else BundleError)(answer.text)
        return answer

    def _code(self) -> str:
        """How the process ended, where it did."""
        try:
            code = self._process.wait(1.0) if self._process else None
        except subprocess.TimeoutExpired:
            return ""
        return "" if code is None else f" by signal {-code}" if code < 0 else f" with code {code}"

    def _lose(self, why: str, cause: BaseException | None = None) -> NoReturn:
        self.engine = None
        if self._process is not None:
            self._process.kill()
        self.stop()
        raise EngineLostError(f"the engine of {self._graph.name} is lost: {why}") from cause


def _memory_file(data: bytes) -> BinaryIO:
    """``data`` as a file without a name, at its start: handing it over never waits for the reader."""
    file = os.fdopen(os.memfd_create("graph"), "w+b")
    file.write(data)
    file.seek(0)
    return file
