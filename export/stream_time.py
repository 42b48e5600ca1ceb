"""Where in time the output of each layer of a stream stands.

A layer that looks ahead can give a frame only when later ones have come. Each layer of a stream therefore gives as many
frames as came in (half as many where it strides in time), each ``delay`` places late: after ``n`` frames of the stream,
the next output of a layer is its frame ``n / rate - delay``. Frames before the first are zero, as the padding of the
window function is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from training.model import Block, Branch, Conv, Layer, ModelSpec, Upsample

__all__ = ["DIFFERENCE", "Place", "block_places", "lag", "place_after"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One frame for ``rate`` frames of the input, ``delay`` of its own frames late."""

    rate: int
    delay: int

    @property
    def skew(self) -> int:
        """1 where frames of even number are the second of a pair: a time stride then waits for one more."""
        return self.delay % 2


DIFFERENCE = Place(1, 1)
"""Difference ``t`` is frame ``t + 1`` less frame ``t``: it stands one frame late."""


def place_after(layer: Layer, at: Place) -> Place:
    """Where the output of ``layer`` stands when its input stands ``at``."""
    if isinstance(layer, Upsample):
        return Place(at.rate // layer.times, at.delay * layer.times)
    if not isinstance(layer, Conv):
        return at
    if layer.time_stride == 2:
        return Place(2 * at.rate, (at.delay + at.skew) // 2)
    return Place(at.rate, at.delay + layer.time_dilation)


def block_places(spec: ModelSpec) -> set[Place]:
    """Where norms stand, the first included."""
    places = {DIFFERENCE}
    for task in spec.tasks:
        layers = spec.branch(task).layers
        places |= {at for layer, at in zip(layers, _walk(layers), strict=True) if isinstance(layer, Block)}
    return places


def lag(branch: Branch) -> int:
    """Frames by which the waveform of ``branch`` stands behind: sample 0 comes with frame ``lag``.

    Less the frame that a difference needs, it is the look-ahead in samples.
    """
    *_, last = _walk(branch.layers)
    assert last.rate == 1
    return last.delay


def _walk(layers: Iterable[Layer]) -> Iterator[Place]:
    at = DIFFERENCE
    for layer in layers:
        at = place_after(layer, at)
        yield at
