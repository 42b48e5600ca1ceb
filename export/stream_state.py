"""What a stream graph remembers between chunks: named arrays, packed into one flat tensor.

All zeros is the state of a stream that has not begun. ``LAYOUT`` among the graph's metadata is JSON that lists name,
first index and shape of each array, in order. Plain and fast form keep the same arrays with their axes in their own
order: a state belongs to its graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec
from onnx import helper

from edge.stream_graph import STATE_IN, STATE_OUT
from export.graph_writer import GraphWriter

__all__ = ["LAYOUT", "Piece", "StatePacker"]

LAYOUT = "state_layout"


class Piece(msgspec.Struct, frozen=True):
    """One array: values ``first`` to ``first + product of shape`` of the state."""

    name: str
    first: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many values."""
        return math.prod(self.shape)


@dataclass(slots=True)
class StatePacker:
    """Collects the arrays while a graph is written; every one is taken once and put once."""

    graph: GraphWriter
    pieces: list[Piece] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, shape: tuple[int, ...]) -> str:
        """The array as it was left by the last chunk."""
        piece = Piece(name, self.size, shape)
        self.pieces.append(piece)
        part = f"{STATE_IN}.{name}"
        return part if shape == (1, piece.size) else self.graph.reshape(part, *shape)

    def put(self, name: str, x: str) -> None:
        """``x`` is the array for the next chunk."""
        piece = next(piece for piece in self.pieces if piece.name == name)
        self.kept[name] = x if piece.shape == (1, piece.size) else self.graph.reshape(x, 1, -1)

    @property
    def size(self) -> int:
        """N, the values of all arrays."""
        return sum(piece.size for piece in self.pieces)

    def finish(self) -> None:
        """Write the node that takes the state apart, before all others, and the one that packs the new one."""
        sizes = self.graph.ints(*(piece.size for piece in self.pieces))
        parts = [f"{STATE_IN}.{piece.name}" for piece in self.pieces]
        self.graph.nodes.insert(0, helper.make_node("Split", [STATE_IN, sizes], parts, name="Split_state", axis=1))
        self.graph.add("Concat", *(self.kept[piece.name] for piece in self.pieces), out=STATE_OUT, axis=1)

    def layout(self) -> str:
        """JSON of the arrays."""
        return msgspec.json.encode(self.pieces).decode()
