"""The contract of stream graphs: what they are called by, and what they say about themselves.

A stream graph takes ``frames`` float32 ``[1, C, L, S, S]`` and :data:`STATE_IN` float32 ``[1, N]``, and gives float32
``[1, L]`` for each task, and :data:`STATE_OUT` ``[1, N]``, to be handed in with the next chunk. Zeros are the state of
a stream that has not begun. L is a multiple of ``chunk_step``, up to ``max_chunk``; with ``n`` frames before the chunk,
value ``k`` is sample ``n + k - lag`` of the task, which stands at the difference between that frame and the next.
Samples before the first are 0. The graph's metadata hold what :class:`StreamFacts` has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["STATE_IN", "STATE_OUT", "StreamFacts"]

STATE_IN = "state"
STATE_OUT = "state_out"


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
