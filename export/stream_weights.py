"""How running statistics of a stream weigh its frames, as nodes.

After frame ``k`` a statistic is the weighted mean of what frames ``j <= k`` have, by weights ``decay ** (k - j)``.
While the stream is young these are nearly equal and the statistic is nearly a plain mean; all weights together are at
most ``1 / (1 - decay)``. Within a chunk every frame has its own: ``after = kept * before + fresh @ new``.

The matrices depend on how many frames a layer has had, so on its place in time alone, and are computed once for each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.graph_writer import GraphWriter
from export.stream_time import Place

__all__ = ["MAX_CHUNK", "MAX_COUNT", "Weights", "decay_of", "stream_weights"]

MAX_CHUNK = 12
"""Frames."""
MAX_COUNT = 2**20
"""The counter of frames stops here (ten hours at 30 fps), long after it has ceased to matter: float32 stays exact."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Names of ``kept`` ``[L, 1]``, ``fresh`` ``[L, L]``, and ``there`` ``[L, 1]``: 1 for frames from the first.

    With ``frames_last`` they are transposed, and have an axis of 1 in front.
    """

    kept: str
    fresh: str
    there: str


def decay_of(memory: float, rate: int) -> float:
    """What is left of a weight one frame later; ``memory`` is in frames of the input."""
    return float((1.0 - 1.0 / memory) ** rate)


def stream_weights(
    graph: GraphWriter, count: str, length: str, places: set[Place], memory: float, *, frames_last: bool
) -> dict[Place, Weights]:
    """Weights for each of ``places``: ``count`` ``[1, 1, 1]`` frames came before, ``length`` (int64 ``[1]``) come."""
    found: dict[Place, Weights] = {}
    for rate in sorted({place.rate for place in places}):
        group = sorted(place for place in places if place.rate == rate)
        parts = _of_one_rate(graph, count, length, group, decay_of(memory, rate))
        if frames_last:
            parts = [graph.add("Transpose", part, perm=[0, 2, 1]) for part in parts]
        else:
            parts = [graph.add("Flatten", part, axis=2) for part in parts]
        split = [graph.split(part, len(group), axis=0) for part in parts]
        found |= {place: Weights(*names) for place, *names in zip(group, *split, strict=True)}
    return found


def _of_one_rate(graph: GraphWriter, count: str, length: str, group: list[Place], decay: float) -> list[str]:
    """``[K, L, 1]``, ``[K, L, L]``, ``[K, L, 1]`` for the K places of ``group``."""
    rate = group[0].rate
    had = graph.add("Mul", count, graph.number(1.0 / rate))
    delays = np.array([place.delay for place in group], np.float32).reshape(-1, 1, 1)
    age = graph.add("Sub", had, graph.constant(delays))  # [K, 1, 1]; below 0 where no frame has come through yet
    frames = graph.add("Div", length, graph.ints(rate)) if rate > 1 else length
    steps, powers, triangle = _tables(graph, frames, MAX_CHUNK // rate, decay)
    there = graph.add("Cast", graph.add("GreaterOrEqual", graph.add("Add", age, steps), graph.number(0.0)), to=1)
    before = _weight_of(graph, age, decay)
    kept = graph.add("Mul", powers, before)  # [K, L, 1]
    fresh = graph.add("Mul", triangle, graph.add("Transpose", there, perm=[0, 2, 1]))  # [K, L, L]
    total = graph.add("Add", kept, graph.add("ReduceSum", fresh, graph.ints(2), keepdims=1))
    total = graph.add("Max", total, graph.number(1e-6))  # no frame yet: all weights are 0
    return [graph.add("Div", kept, total), graph.add("Div", fresh, total), there]


def _weight_of(graph: GraphWriter, age: str, decay: float) -> str:
    """The sum of the weights of ``age`` frames: ``(1 - decay ** age) / (1 - decay)``."""
    left = graph.add("Pow", graph.number(decay), graph.add("Max", age, graph.number(0.0)))
    return graph.add("Mul", graph.add("Sub", graph.number(1.0), left), graph.number(1.0 / (1.0 - decay)))


def _tables(graph: GraphWriter, frames: str, most: int, decay: float) -> tuple[str, str, str]:
    """The first ``frames`` of: steps ``[1, L, 1]``, ``decay ** (k + 1)`` ``[1, L, 1]``, ``decay ** (k - j)``."""
    k = np.arange(most)
    triangle = np.where(k[:, None] >= k, decay ** np.maximum(k[:, None] - k, 0.0), 0.0)
    columns = [graph.constant(values.astype(np.float32).reshape(1, -1, 1)) for values in (k, decay ** (k + 1.0))]
    steps, powers = (graph.add("Slice", column, graph.ints(0), frames, graph.ints(1)) for column in columns)
    corner = graph.add("Concat", frames, frames, axis=0)
    square = graph.constant(triangle.astype(np.float32)[None])
    return steps, powers, graph.add("Slice", square, graph.ints(0, 0), corner, graph.ints(1, 2))
