"""The contract of stream graphs: what they are called by, and what they say about themselves.

A stream graph takes ``frames`` float32 ``[1, C, L, S, S]`` and :data:`STATE_IN` float32 ``[1, N]``, and gives float32
``[1, L]`` for each task, and :data:`STATE_OUT` ``[1, N]``, to be handed in with the next chunk. Zeros are the state of
a stream that has not begun. L is a multiple of ``chunk_step``, up to ``max_chunk``; with ``n`` frames before the chunk,
value ``k`` is sample ``n + k - lag`` of the task, which stands at the difference between that frame and the next.
Samples before the first are 0. The graph's metadata hold what :class:`StreamFacts` has.

A loaded graph is a :class:`StreamEngine` and remembers nothing; who is streamed is a :class:`StreamRunner`. Any number
of people share one engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["STATE_IN", "STATE_OUT", "StreamEngine", "StreamFacts", "StreamRunner"]

STATE_IN = "state"
STATE_OUT = "state_out"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What a stream graph says of itself.

    ``lags``: frames by which the newest sample of each task stands behind the newest frame. ``memory``: frames after
    which a frame weighs 1/e in the running statistics.
    """

    chunk_step: int
    max_chunk: int
    memory: float
    lags: Mapping[str, int]

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], tasks: Sequence[str]) -> StreamFacts:
        """ValueError when one is missing or out of range."""
        try:
            step, most, memory = int(metadata["chunk_step"]), int(metadata["max_chunk"]), float(metadata["memory"])
            lags = {task: int(metadata[f"lag_{task}"]) for task in tasks}
        except KeyError as error:
            raise ValueError(f"its metadata lack {error}") from error
        if not (1 <= step <= most <= 1000 and memory >= 1.0 and all(0 <= lag <= 1000 for lag in lags.values())):
            raise ValueError(f"chunks of {step} to {most} frames, lags {lags} and a memory of {memory} cannot be run")
        return cls(step, most, memory, lags)

    def metadata(self) -> dict[str, str]:
        """As the graph carries them."""
        facts = {"chunk_step": str(self.chunk_step), "max_chunk": str(self.max_chunk), "memory": f"{self.memory:g}"}
        return facts | {f"lag_{task}": str(lag) for task, lag in self.lags.items()}

    @property
    def longest_chunk(self) -> int:
        """Frames of the longest chunk that can be run: the cheapest one a frame."""
        return self.max_chunk // self.chunk_step * self.chunk_step


class StreamEngine(Protocol):
    """A loaded stream graph, without memory of its own."""

    @property
    def name(self) -> str:
        """Engine, graph and device."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Its outputs."""

    @property
    def facts(self) -> StreamFacts:
        """What the graph says of itself."""

    @property
    def spread(self) -> Mapping[str, float]:
        """About which standard deviation each task's samples have."""

    def begin(self) -> Floats:
        """The state of a stream that has not begun."""

    def step(self, frames: Floats, state: Floats) -> tuple[dict[str, Floats], Floats]:
        """Samples ``{task: [L]}`` of the next chunk ``[1, C, L, S, S]``, and the next state.

        FaultError for another shape or type, a failing engine, or a number that is not finite.
        """


class StreamRunner:
    """One stream of one person through a shared engine. Not safe for use by several threads at once.

    ``state`` is all that the stream remembers: a copy is a save, assigning it the restore.
    """

    def __init__(self, engine: StreamEngine) -> None:
        self.engine = engine
        self.reset()

    def reset(self) -> None:
        """Begin anew: what comes now belongs to another person, place or time."""
        self.state = self.engine.begin()

    def step(self, frames: Floats) -> dict[str, Floats]:
        """As :meth:`StreamEngine.step`; the state stays as it was when FaultError is raised."""
        waves, self.state = self.engine.step(frames, self.state)
        return waves

    def run(self, frames: Floats, chunk: int) -> dict[str, Floats]:
        """As :meth:`step`, of frames ``[1, C, F, S, S]`` in as many whole chunks as there are: ``{task: [n]}``."""
        starts = range(0, frames.shape[2] - chunk + 1, chunk)
        outputs = [self.step(np.ascontiguousarray(frames[:, :, at : at + chunk])) for at in starts]
        return {task: np.concatenate([one[task] for one in outputs]) for task in self.engine.tasks}
