"""One face that is followed: from frames and its box to the buffers of its person."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edge.bundle import Bundle
from edge.clips.crop import Box, model_cells, square_enlarged
from edge.clips.grid import RGB_LIMITS, GridClock, PairGrid, Resampler
from edge.clips.stillness import Stillness
from edge.faces.likeness import Likeness
from edge.faces.motion import MotionMeter
from edge.faces.track import FaceTrack
from edge.frames import FramePair
from edge.person import Subject, Waves

__all__ = ["Follower", "Heat"]

Cells: TypeAlias = "npt.NDArray[np.float32]"
Heat: TypeAlias = Callable[[FramePair, Box], "Cells | None"]
"""Cells ``[1, S, S]`` of a pair's thermal frame for a region of its RGB frame; None where it shows none. Asked once for
each thermal frame."""


class Follower:
    """A seat before the cameras. ``track`` is the face on it now, ``number`` that person, or who was there last.

    ``read``: the parts of the newest RGB picture that were looked at.

    ``heat`` gives what shows thermal of a face at a new place, and may remember how. ``has_channel``: model frames have
    a thermal channel.
    """

    def __init__(self, bundle: Bundle, subject: Subject, heat: Callable[[], Heat], *, has_channel: bool) -> None:
        self.subject = subject
        self.track: FaceTrack | None = None
        self.number = 0
        self.read: tuple[Box, ...] = ()
        self._bundle, self._has_channel = bundle, has_channel
        self._new_heat = heat
        self._grid: PairGrid | None = None
        self._motion, self._likeness, self._stillness = MotionMeter(), Likeness(), Stillness()
        self._moves: deque[tuple[int, Cells]] = deque()
        self._heat: tuple[int, Cells | None] | None = None
        self._warm_ns = 0  # stamp of the newest pair that showed heat, or when the place was new
        self._moved_ns: int | None = None  # when the face jumped to another place
        self._heat_moved_ns: int | None = None  # when its warmth alone did

    def lose(self) -> None:
        """The face is not there any more."""
        self.track = self._grid = None

    def see(self, pair: FramePair, track: FaceTrack, *, crowded: bool = False, heat_moved: bool = False) -> list[Waves]:
        """The face in the next pair; gives what a stream has to show.

        ``crowded``: others are about. Then a picture that does not match what was there before may be another face that
        stepped in, and the buffers begin anew: two people's signals never share a window. ``heat_moved``: thermal shows
        another place from this pair on, and RGB does not.
        """
        t_ns = pair.rgb.pts_ns
        if track.moved or self._grid is None:
            self._moved_ns = None if self.track is None else t_ns
            self._begin(t_ns)
        elif heat_moved:
            self._grid.leap()
            if self._heat is not None and self._heat[1] is not None:
                self._heat_moved_ns = t_ns
        self.track, self.number = track, track.person
        region = square_enlarged(track.box, pair.rgb.image.shape)
        cells = model_cells(pair.rgb, region, self._bundle.size)
        image = np.asarray(pair.rgb.image, np.uint8)
        self._stillness.step(t_ns, image, region)
        motion = self._motion.step(image, track.box)
        read = (region, *self._motion.regions)
        another = crowded and self._likeness.step(t_ns, cells)
        if another or (crowded and not motion.trusted):
            self._moved_ns = t_ns
            self._begin(t_ns)
            motion = self._motion.step(image, track.box)
            read += self._motion.regions
        move = np.array([motion.x, motion.y], dtype=np.float32)
        self.read = read
        return self._to_grid(pair, cells, self._thermal(pair, region), move)

    def moved_within(self, window_ns: float, t_ns: int) -> bool:
        """Whether the face jumped to another place in the ``window_ns`` before ``t_ns``."""
        return self._moved_ns is not None and t_ns - self._moved_ns < window_ns

    def heat_moved_within(self, window_ns: float, t_ns: int) -> bool:
        """The same of its warmth alone."""
        return self._heat_moved_ns is not None and t_ns - self._heat_moved_ns < window_ns

    @property
    def still_s(self) -> float:
        """For how many seconds of frames the RGB picture has not changed at all where the face is."""
        return self._stillness.still_s

    def cold_s(self, t_ns: int) -> float:
        """Seconds since a thermal frame last showed this face: that camera sends, and what it sends is of no use."""
        return (t_ns - self._warm_ns) * 1e-9

    def _begin(self, t_ns: int) -> None:
        """A face at a new place: nothing of the old place belongs to it."""
        clock = GridClock(t_ns, self._bundle.fps)
        self._grid = PairGrid(clock, self._has_channel)
        self._move_grid = Resampler(clock, RGB_LIMITS)
        self._moves.clear()
        self._motion.reset()
        self._likeness.reset()
        self._stillness.reset()
        self._show_heat = self._new_heat()
        self._heat, self._warm_ns, self._heat_moved_ns = None, t_ns, None
        self.subject.forget()

    def _thermal(self, pair: FramePair, region: Box) -> tuple[int, Cells] | None:
        """Stamp and cells of the pair's thermal frame; None where it does not show the face, or holds no numbers."""
        if pair.thermal is None:
            return None
        stamp = pair.thermal.pts_ns
        if self._heat is None or self._heat[0] != stamp:
            cells = self._show_heat(pair, region)
            self._heat = stamp, cells if cells is not None and np.isfinite(cells).all() else None
        cells = self._heat[1]
        if cells is None:
            return None
        self._warm_ns = pair.rgb.pts_ns
        return stamp, cells

    def _to_grid(self, pair: FramePair, cells: Cells, thermal: tuple[int, Cells] | None, move: Cells) -> list[Waves]:
        assert self._grid is not None
        shown: list[Waves] = []
        t_ns = pair.rgb.pts_ns
        self._moves.extend((sample.k, sample.cells) for sample in self._move_grid.push(t_ns, move))
        for frame in self._grid.push(t_ns, cells, thermal):
            while self._moves[0][0] < frame.k:
                self._moves.popleft()
            shown += self.subject.take(frame, self._moves.popleft()[1])
        return shown
