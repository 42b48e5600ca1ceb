"""What passes between a run and the process of its engine: tagged messages over one socket, without pickle.

The run sends one :class:`Setup`, then float32 clips; the process answers with progress, ``ready``,
waves, or an error, after which it ends.
"""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Literal

import msgspec

from edge.bundle import GraphEntry

__all__ = ["Answer", "Failed", "Ready", "Setup", "Underway", "Waves", "receive", "send"]


class Setup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``shape`` is that of the clips ``[B, C, F, S, S]``, ``tasks`` are the outputs to send back, in this order."""

    entry: GraphEntry
    shape: tuple[int, ...]
    tasks: tuple[str, ...]


class Underway(msgspec.Struct, frozen=True, tag="underway"):
    """An engine is being built."""

    phase: str
    share: float


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Clips may come; ``name`` is the engine's."""

    name: str


class Waves(msgspec.Struct, frozen=True, tag="waves"):
    """Float32 bytes of ``[B, T]`` for each task follow as one more message."""

    samples: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The process ends. ``kind`` tells whose fault it is: what is not installed, the bundle, or the engine."""

    kind: Literal["missing", "bundle", "fault"]
    text: str


Answer = Underway | Ready | Waves | Failed


def send(link: Connection, message: Setup | Answer) -> None:
    """Send one message; OSError when the other side is gone."""
    link.send_bytes(msgspec.json.encode(message))


def receive(link: Connection) -> Answer:
    """The next message from the process; EOFError or OSError when it is gone, msgspec.MsgspecError for nonsense."""
    answer: Answer = msgspec.json.decode(link.recv_bytes(1 << 20), type=Answer)
    return answer
