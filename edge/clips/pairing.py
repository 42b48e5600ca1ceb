"""Pairing by stamps: each RGB frame with the thermal frame nearest to it in time, or with the reason why there is none.

A decision for an RGB frame at ``t`` falls as soon as no later thermal frame can be nearer: when a thermal frame with a
stamp at or after ``t`` is there. It falls without one when thermal ended, or when RGB is more than ``patience_ns`` past
``t``. So it depends on stamps and on the order of arrival within the patience only, never on a clock. Frames of two
sources merged by stamp give the same pairs at any speed.

Where the rig knows how thermal stamps differ from RGB stamps, they are moved first: gate, pairs, skews and everything
after see thermal frames on the RGB clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from edge.clips.shutter import ShutterWatch
from edge.frames import Frame, FrameKind, FramePair
from edge.rig import TimeOffset

__all__ = ["PairStats", "Pairer"]

MAX_WAITING = 64
"""Frames of a kind that wait for the other; beyond it the oldest goes."""
SKEW_SPAN_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PairStats:
    """What happened since the start (counts) and in the last second of stamps (skew, ``|thermal - RGB|``).

    ``late_thermal``: thermal frames that came after an RGB frame at or past their stamp had been decided.
    ``late_rgb``: RGB frames older than thermal frames already given up. ``duplicates_*``: same stamp as the frame
    before, ``reordered_*``: an older one; both are skipped. Skews are None without a pair in the last second.
    """

    paired: int
    unpaired: int
    late_thermal: int
    late_rgb: int
    duplicates_rgb: int
    duplicates_thermal: int
    reordered_rgb: int
    reordered_thermal: int
    skew_median_ns: int | None
    skew_p95_ns: int | None


class Pairer:
    """Frames of both kinds in, pairs in RGB stamp order out.

    Frames of one kind come in stamp order; a same or backward stamp is skipped and counted. The two kinds may be merged
    in any way. One thermal frame may serve several RGB frames. Between two equally near ones the earlier is taken. A
    thermal frame with a closed shutter, or of a stream that hangs, takes its place in time but is never handed out: the
    pair says ``"shutter"`` or ``"frozen"``.

    Parameters
    ----------
    gate_ns
        Largest ``|thermal - RGB|`` of a pair, inclusive, at least 0.
    thermal
        False when there is no thermal camera: each RGB frame is given at once, with ``"none"``.
    patience_ns
        How far RGB may run ahead of an undecided frame; ``gate_ns`` when None. More than the thermal camera's
        extra latency loses nothing and costs as much delay only while thermal is late.
    offset
        How thermal stamps differ from those RGB would have; a thermal frame that comes later by it is not late.
    """

    def __init__(
        self, gate_ns: int, thermal: bool, patience_ns: int | None = None, offset: TimeOffset | None = None
    ) -> None:
        if gate_ns < 0:
            raise ValueError(f"a gate is at least 0 ns; seen {gate_ns}")
        self._gate_ns = gate_ns
        self._patience_ns = gate_ns if patience_ns is None else patience_ns
        self._offset = offset or TimeOffset()
        self._start_ns: int | None = None
        self._has_thermal = thermal
        self._ended = False
        self._rgb: deque[Frame] = deque()
        self._thermal: deque[tuple[Frame, str]] = deque()  # and why it shows nothing
        self._watch = ShutterWatch()
        self._last_ns: dict[FrameKind, int | None] = {"rgb": None, "thermal": None}
        self._decided_ns: int | None = None
        self._given_up_ns: int | None = None
        self._skews: deque[tuple[int, int]] = deque(maxlen=256)
        self._duplicates: dict[FrameKind, int] = {"rgb": 0, "thermal": 0}
        self._reordered: dict[FrameKind, int] = {"rgb": 0, "thermal": 0}
        self._paired = self._unpaired = self._late_thermal = self._late_rgb = 0

    def push(self, frame: Frame) -> list[FramePair]:
        """Take one frame; gives the pairs that it decided, oldest first."""
        frame = self._on_rgb_clock(frame)
        last_ns = self._last_ns[frame.kind]
        if last_ns is not None and frame.pts_ns <= last_ns:
            count = self._duplicates if frame.pts_ns == last_ns else self._reordered
            count[frame.kind] += 1
            return []
        self._last_ns[frame.kind] = frame.pts_ns
        if frame.kind == "rgb":
            self._take_rgb(frame)
        else:
            self._take_thermal(frame)
        return self._decide(everything=False)

    def newest_ns(self, kind: FrameKind) -> int | None:
        """The newest stamp of a kind, on the RGB clock."""
        return self._last_ns[kind]

    def _on_rgb_clock(self, frame: Frame) -> Frame:
        if self._start_ns is None:
            self._start_ns = frame.pts_ns
        if frame.kind == "rgb":
            return frame
        moved_ns = self._offset.to_rgb_ns(frame.pts_ns, self._start_ns)
        return frame if moved_ns == frame.pts_ns else replace(frame, pts_ns=moved_ns)

    def end(self, kind: FrameKind) -> list[FramePair]:
        """Say that no more frames of ``kind`` come; gives the pairs that this decided."""
        if kind == "thermal":
            self._ended = True
        return self._decide(everything=False)

    def finish(self) -> list[FramePair]:
        """Say that no more frames come at all; gives the remaining pairs."""
        return self._decide(everything=True)

    @property
    def stats(self) -> PairStats:
        """Counts and skews up to now."""
        skews = [skew for _, skew in self._skews]
        median, p95 = (int(q) for q in np.quantile(skews, (0.5, 0.95))) if skews else (None, None)
        return PairStats(
            paired=self._paired,
            unpaired=self._unpaired,
            late_thermal=self._late_thermal,
            late_rgb=self._late_rgb,
            duplicates_rgb=self._duplicates["rgb"],
            duplicates_thermal=self._duplicates["thermal"],
            reordered_rgb=self._reordered["rgb"],
            reordered_thermal=self._reordered["thermal"],
            skew_median_ns=median,
            skew_p95_ns=p95,
        )

    def _take_rgb(self, frame: Frame) -> None:
        self._rgb.append(frame)
        if self._given_up_ns is not None and frame.pts_ns <= self._given_up_ns:
            self._late_rgb += 1

    def _take_thermal(self, frame: Frame) -> None:
        self._thermal.append((frame, self._watch.step(frame)))
        if self._decided_ns is not None and frame.pts_ns <= self._decided_ns:
            self._late_thermal += 1
        if len(self._thermal) > MAX_WAITING:
            self._given_up_ns = self._thermal.popleft()[0].pts_ns

    def _decide(self, *, everything: bool) -> list[FramePair]:
        pairs = []
        while self._rgb and (everything or self._is_decided(self._rgb[0].pts_ns)):
            pairs.append(self._pair(self._rgb.popleft()))
        return pairs

    def _is_decided(self, t_ns: int) -> bool:
        thermal_ns, rgb_ns = self._last_ns["thermal"], self._last_ns["rgb"]
        return (
            not self._has_thermal
            or self._ended
            or (thermal_ns is not None and thermal_ns >= t_ns)
            or (rgb_ns is not None and self._past_lag(rgb_ns) > t_ns + self._patience_ns)
            or len(self._rgb) > MAX_WAITING
        )

    def _past_lag(self, rgb_ns: int) -> int:
        """The RGB time up to which thermal frames are here, those that come later by the offset counted in."""
        return min(rgb_ns, self._offset.to_rgb_ns(rgb_ns, rgb_ns if self._start_ns is None else self._start_ns))

    def _pair(self, rgb: Frame) -> FramePair:
        self._decided_ns = rgb.pts_ns
        while self._skews and self._skews[0][0] < rgb.pts_ns - SKEW_SPAN_NS:
            self._skews.popleft()
        nearest, blind = self._nearest(rgb)
        if nearest is None or blind:
            self._unpaired += 1
            return FramePair(rgb, None, thermal_absent=blind or self._why_absent())
        self._paired += 1
        skew_ns = nearest.pts_ns - rgb.pts_ns
        self._skews.append((rgb.pts_ns, abs(skew_ns)))
        return FramePair(rgb, nearest, skew_ns)

    def _nearest(self, rgb: Frame) -> tuple[Frame | None, str]:
        """The nearest thermal frame inside the gate, and why it shows nothing. Drops what no later RGB frame wants."""
        t_ns = rgb.pts_ns
        while len(self._thermal) > 1 and self._thermal[1][0].pts_ns <= t_ns:
            self._thermal.popleft()
        candidates = [self._thermal[i] for i in range(min(2, len(self._thermal)))]
        nearest, blind = min(candidates, key=lambda one: abs(one[0].pts_ns - t_ns), default=(None, ""))
        return (nearest, blind) if nearest is not None and self._belong(nearest, rgb) else (None, "")

    def _belong(self, thermal: Frame, rgb: Frame) -> bool:
        """Near enough, on one clock."""
        return abs(thermal.pts_ns - rgb.pts_ns) <= self._gate_ns and thermal.shift_ns == rgb.shift_ns

    def _why_absent(self) -> str:
        if not self._has_thermal:
            return "none"
        return "ended" if self._ended else "gate"
