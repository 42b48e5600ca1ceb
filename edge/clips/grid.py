"""From stamps to a uniform grid: model frame ``k`` belongs to ``t0 + k / fps``, whatever the cameras did.

RGB and thermal share one :class:`GridClock`, so their frames meet at the same ``k``. Between two source samples a grid
frame is interpolated linearly, per cell, by stamps. Gaps are marked, never hidden; a long silence starts a new window.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import IntFlag
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edge.clips.frame_rate import RateMeter

__all__ = [
    "RGB_LIMITS",
    "THERMAL_LIMITS",
    "GridClock",
    "GridSample",
    "Mark",
    "ModelFrame",
    "PairGrid",
    "Resampler",
    "StreamLimits",
]

Cells: TypeAlias = "npt.NDArray[np.float32]"
NS_PER_S = 1_000_000_000
GAP_PERIODS = 1.5
"""A spacing above so many source periods misses at least one frame."""


class Mark(IntFlag):
    """What was not measured as it should be in a model frame; bits, since a frame may carry several."""

    NONE = 0
    RGB_GAP = 1
    """Interpolated over a spacing of more than 1.5 source periods."""
    RGB_BRIDGED = 2
    """Interpolated over more than the largest gap allowed: it is there, and not to be trusted."""
    THERMAL_GAP = 4
    """As ``RGB_GAP``."""
    THERMAL_BRIDGED = 8
    """As ``RGB_BRIDGED``, or the last cells held, or a constant, because thermal was absent."""
    THERMAL_MOVED = 16
    """The first on which thermal shows another place than before."""


_BOOLS = (False, True)
_RGB_MARKS = {
    (gap, bridged): Mark(Mark.RGB_GAP * gap | Mark.RGB_BRIDGED * bridged) for gap in _BOOLS for bridged in _BOOLS
}
_THERMAL_MARKS = {marked: Mark(mark * (Mark.THERMAL_GAP // Mark.RGB_GAP)) for marked, mark in _RGB_MARKS.items()}
"""Of a sample that is in a gap, bridged: flags are slow to make."""


@dataclass(frozen=True, slots=True)
class GridClock:
    """The grid ``t0_ns + k * 1e9 / fps``; each time is rounded on its own, so errors never add up."""

    t0_ns: int
    fps: float

    def __post_init__(self) -> None:
        if not (self.fps > 0.0 and math.isfinite(self.fps)):
            raise ValueError(f"a grid has a positive, finite rate; seen {self.fps} fps")

    def t_ns(self, k: int) -> int:
        """Time of grid frame ``k``."""
        return self.t0_ns + round(k * NS_PER_S / self.fps)

    def index_at(self, t_ns: int) -> int:
        """The first ``k >= 0`` whose time is at or after ``t_ns``."""
        k = max(0, math.floor((t_ns - self.t0_ns) * self.fps / NS_PER_S) - 1)
        while self.t_ns(k) < t_ns:
            k += 1
        return k


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Spacings of a stream above ``max_gap_s`` are bridged, those above ``restart_s`` end its segment."""

    max_gap_s: float
    restart_s: float


RGB_LIMITS = StreamLimits(max_gap_s=0.25, restart_s=1.0)
THERMAL_LIMITS = StreamLimits(max_gap_s=0.4, restart_s=1.0)


@dataclass(frozen=True, slots=True, eq=False)
class GridSample:
    """One stream at grid index ``k``.

    ``gap``: inside a spacing of more than 1.5 source periods. ``bridged``: inside a spacing above the limit, or held.
    """

    k: int
    cells: Cells
    gap: bool = False
    bridged: bool = False


class Resampler:
    """Samples of one stream, at their own times, onto the grid of ``clock``; ``meter`` knows the stream's real rate."""

    def __init__(self, clock: GridClock, limits: StreamLimits) -> None:
        self.meter = RateMeter()
        self._clock = clock
        self._max_gap_ns = round(limits.max_gap_s * NS_PER_S)
        self._restart_ns = round(limits.restart_s * NS_PER_S)
        self._cells: Cells | None = None
        self._at_ns = 0
        self._next_k = 0
        self._holding = self._leaps = False

    def leap(self) -> None:
        """The next sample shows another place. Nothing lies between two places: up to it the last cells are held."""
        self._leaps = True

    def push(self, pts_ns: int, cells: Cells) -> list[GridSample]:
        """Take a float32 array of any shape, the same for all; gives the grid samples up to its stamp. Stamps rise."""
        self.meter.add(pts_ns)
        spacing_ns = pts_ns - self._at_ns
        if self._cells is None or (spacing_ns > self._restart_ns and not self._holding):
            self._leaps = False
            return self._start(pts_ns, cells)
        if self._leaps:
            held = self._held(pts_ns - 1)
            self._holding = self._leaps = False
            return [*held, *self._start(pts_ns, cells)]
        bridged = self._holding or spacing_ns > self._max_gap_ns
        gap = bridged or self._misses_frames(spacing_ns)
        samples = []
        while self._clock.t_ns(self._next_k) <= pts_ns:
            share = np.float32((self._clock.t_ns(self._next_k) - self._at_ns) / spacing_ns)
            samples.append(self._sample(self._cells + share * (cells - self._cells), gap=gap, bridged=bridged))
        self._cells, self._at_ns, self._holding = cells, pts_ns, False
        return samples

    def hold_until(self, t_ns: int, fill: Cells) -> list[GridSample]:
        """Say that the stream has no sample near ``t_ns``.

        Once its last one is older than the largest gap allowed, the grid goes on with that one's cells (``fill`` when
        there never was one) up to ``t_ns``, marked as bridged; before, nothing is given, since a sample may still come.
        """
        if self._cells is None:
            self._holding = True
            return self._start(t_ns, fill)
        if not self._holding and t_ns - self._at_ns <= self._max_gap_ns:
            return []
        samples = self._held(t_ns)
        self._at_ns, self._holding = max(t_ns, self._at_ns), True
        return samples

    def _held(self, t_ns: int) -> list[GridSample]:
        """The grid up to ``t_ns`` with the last cells, which are there."""
        samples = []
        while self._cells is not None and self._clock.t_ns(self._next_k) <= t_ns:
            samples.append(self._sample(self._cells, gap=True, bridged=True))
        return samples

    def _start(self, pts_ns: int, cells: Cells) -> list[GridSample]:
        self._cells, self._at_ns = cells, pts_ns
        self._next_k = max(self._next_k, self._clock.index_at(pts_ns))
        if self._clock.t_ns(self._next_k) > pts_ns:
            return []
        return [self._sample(cells, gap=self._holding, bridged=self._holding)]

    def _sample(self, cells: Cells, *, gap: bool, bridged: bool) -> GridSample:
        sample = GridSample(self._next_k, cells, gap, bridged)
        self._next_k += 1
        return sample

    def _misses_frames(self, spacing_ns: int) -> bool:
        period_ns = self.meter.period_ns
        return period_ns is not None and spacing_ns > GAP_PERIODS * period_ns


@dataclass(frozen=True, slots=True, eq=False)
class ModelFrame:
    """What a model sees at grid index ``k``: float32 ``[C, S, S]``, RGB 0..255 first, thermal degC last.

    ``restart``: the first, or the first after grid indices that have no frame: the window before it is over.
    """

    k: int
    t_ns: int
    data: Cells
    marks: Mark = Mark.NONE
    restart: bool = False


class PairGrid:
    """Cells of paired frames in, model frames out, RGB and thermal at the same grid index.

    A model frame waits until both streams have reached its time. Where thermal stays away it is held, or ``fill_degc``
    when there never was any, so that its difference is zero, and the frame is marked.

    Parameters
    ----------
    clock
        The grid, usually starting at the first RGB stamp.
    thermal
        Whether model frames have a thermal channel. Without, thermal cells are ignored.
    """

    def __init__(
        self,
        clock: GridClock,
        thermal: bool,
        rgb_limits: StreamLimits = RGB_LIMITS,
        thermal_limits: StreamLimits = THERMAL_LIMITS,
        fill_degc: float = 30.0,
    ) -> None:
        self._clock = clock
        self._fill_degc = fill_degc
        self._rgb = Resampler(clock, rgb_limits)
        self._thermal = Resampler(clock, thermal_limits) if thermal else None
        self._thermal_ns: int | None = None
        self._leaps = False
        self._leapt_ns: int | None = None  # stamp of the first thermal frame of another place, until it is told
        self._last_k: int | None = None
        self._rgb_waiting: deque[GridSample] = deque()
        self._thermal_waiting: deque[GridSample] = deque()

    def push(self, pts_ns: int, rgb: Cells, thermal: tuple[int, Cells] | None) -> list[ModelFrame]:
        """Take one pair: RGB cells ``[3, S, S]`` with their stamp, thermal cells ``[1, S, S]`` with theirs, or None.

        RGB stamps rise. A thermal frame that serves several pairs comes with each of them and counts once.
        """
        samples = self._rgb.push(pts_ns, rgb)
        if self._thermal is None:
            return [self._frame(sample, None) for sample in samples]
        self._rgb_waiting.extend(samples)
        self._thermal_waiting.extend(self._thermal_samples(self._thermal, pts_ns, rgb, thermal))
        return self._joined()

    def leap(self) -> None:
        """From its next frame on, thermal shows another place; the first model frame of that is ``THERMAL_MOVED``."""
        self._leaps = True

    def _thermal_samples(
        self, stream: Resampler, pts_ns: int, rgb: Cells, thermal: tuple[int, Cells] | None
    ) -> list[GridSample]:
        if thermal is None:
            return stream.hold_until(pts_ns, np.full_like(rgb[:1], self._fill_degc))
        if thermal[0] == self._thermal_ns:
            return []
        self._thermal_ns = thermal[0]
        if self._leaps:
            stream.leap()
            self._leaps, self._leapt_ns = False, thermal[0]
        return stream.push(*thermal)

    def _joined(self) -> list[ModelFrame]:
        frames = []
        rgb, thermal = self._rgb_waiting, self._thermal_waiting
        while rgb and thermal:
            if rgb[0].k == thermal[0].k:
                frames.append(self._frame(rgb.popleft(), thermal.popleft()))
            else:
                min(rgb, thermal, key=lambda waiting: waiting[0].k).popleft()
        return frames

    def _frame(self, rgb: GridSample, thermal: GridSample | None) -> ModelFrame:
        marks, t_ns = _RGB_MARKS[rgb.gap, rgb.bridged], self._clock.t_ns(rgb.k)
        data = rgb.cells
        if thermal is not None:
            marks |= _THERMAL_MARKS[thermal.gap, thermal.bridged]
            data = np.concatenate((rgb.cells, thermal.cells))
        if self._leapt_ns is not None and t_ns >= self._leapt_ns:
            marks, self._leapt_ns = marks | Mark.THERMAL_MOVED, None
        restart, self._last_k = rgb.k - 1 != self._last_k, rgb.k
        return ModelFrame(rgb.k, t_ns, data, marks, restart)
