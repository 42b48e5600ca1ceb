"""Stamps of a recording that jump, as a stream time that only goes on.

A device that was reset, files that were joined, or one damaged stamp: without care an hour back would leave out the
frames of an hour, and an hour forward would ask for an hour of looks. A jump becomes a gap of a few seconds, at which
windows and states begin anew as at any other gap. Live cameras need none of it: their stamps are on CLOCK_MONOTONIC.

Stamps are moved by whole steps of ``STEP_NS``, so that two cameras on one clock that jumps are moved alike and their
frames still belong together; ``Frame.shift_ns`` tells, and frames that were moved differently are never paired.
"""

from __future__ import annotations

from dataclasses import replace

from edge.frames import Frame

__all__ = ["AHEAD_NS", "BACK_NS", "STEP_NS", "Timeline"]

_S = 1_000_000_000
BACK_NS = 2 * _S
"""Stamps that go back by less are frames out of order."""
AHEAD_NS = 60 * _S
"""Stamps that go ahead by less are a camera that was silent."""
STEP_NS = 10 * _S
SHORTEST_GAP_NS = 2 * _S
"""A jump becomes a gap from this length to ``STEP_NS`` more."""
NEXT_NS = 2 * _S
"""A jump is believed when another frame follows it within this time; else that stamp alone was wrong."""


class Timeline:
    """Frames of one recorded stream in the order in which they were read, each with its stamp in stream time."""

    def __init__(self) -> None:
        self.jumps = 0
        """Jumps believed."""
        self.strays = 0
        """Frames left out because their stamp alone jumped."""
        self._last_ns: int | None = None  # the newest believed stamp as read
        self._shift_ns = 0
        self._doubt: Frame | None = None

    def push(self, frame: Frame) -> list[Frame]:
        """Take a frame; gives none while its stamp is in doubt, two when that of the one before turned out right."""
        if self._last_ns is None or -BACK_NS <= frame.pts_ns - self._last_ns <= AHEAD_NS:
            self._forget_doubt()
            return [self._moved(frame)]
        doubt = self._doubt
        if doubt is None or not 0 < frame.pts_ns - doubt.pts_ns <= NEXT_NS:
            self._forget_doubt()
            self._doubt = frame
            return []
        self.jumps += 1
        jump_ns = doubt.pts_ns - self._last_ns
        self._shift_ns -= STEP_NS * ((jump_ns - SHORTEST_GAP_NS) // STEP_NS)
        self._last_ns, self._doubt = doubt.pts_ns, None
        return [self._moved(doubt), self._moved(frame)]

    def _forget_doubt(self) -> None:
        self.strays += self._doubt is not None
        self._doubt = None

    def _moved(self, frame: Frame) -> Frame:
        self._last_ns = max(frame.pts_ns, frame.pts_ns if self._last_ns is None else self._last_ns)
        if not self._shift_ns:
            return frame
        return replace(frame, pts_ns=frame.pts_ns + self._shift_ns, shift_ns=self._shift_ns)
