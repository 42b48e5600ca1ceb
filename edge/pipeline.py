"""One step of the method, pure: a frame in, vitals and waveforms out.

    frame -> pairs by stamp -> face -> cells -> uniform grid -> windows -> model -> waveforms -> rates -> states

No threads, no wall clock, no files: what comes out depends on the frames and their stamps alone, so the same recording
gives the same vitals at any speed. Looks (1 Hz) and model runs (every hop) are scheduled on stamps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edge.bundle import Bundle
from edge.clips.crop import Box, model_cells, square_enlarged
from edge.clips.frame_rate import RateLimits
from edge.clips.grid import RGB_LIMITS, GridClock, PairGrid, Resampler
from edge.clips.pairing import Pairer
from edge.clips.thermal_view import ThermalView
from edge.errors import FaultError
from edge.faces.motion import MotionMeter
from edge.faces.track import FaceTrack, Tracker
from edge.frames import Frame, FrameKind, FramePair
from edge.intake import SILENT_S, Intake, Schedule
from edge.person import Person, Subject
from edge.rig import IDENTITY, Rig
from edge.runtimes import Runtime
from edge.signals.state import Situation, first_named
from edge.vitals import Mode, Signals, Vitals, codes_that_hold

__all__ = ["Counts", "Options", "Output", "Pipeline", "WaveBlock"]

_S = 1_000_000_000
_THERMAL_SILENT_S = 2.5
"""A thermal camera that sent nothing for so long is lost: its shutter pauses last 2 s. RR is not ``ok`` from 1 s on."""
_OVERDUE_S = 0.5
"""A look that no frame brought about for so long is taken without one."""
_SHUTTER_S = 3.0
"""So long after a shutter pause RR is not ``ok``."""
_MIN_FACE_PX = 80.0
"""Below, a cell of the 9x9 grid averages fewer than 180 pixels."""
_MAX_FAULTS = 3
"""Failed model runs in a row before the fault is passed on."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the pipeline runs. ``thermal``: a thermal camera is there. ``hop_s``: time between two runs of the model.

    ``rig``: how the thermal picture and clock lie to those of RGB; the identity rig when none was measured.
    """

    zone: str
    thermal: bool
    hop_s: float = 1.0
    pair_gate_ms: float = 80.0
    mode: Mode = "exact"
    rig: Rig = IDENTITY


@dataclass(frozen=True, slots=True, eq=False)
class WaveBlock:
    """A piece of waveform of one person whose pulse passed the life gate."""

    signals: Signals
    zone: str
    person: int


Output = Vitals | WaveBlock


@dataclass(slots=True)
class Counts:
    """Since the start: what cameras sent, and runs of detector and model.

    ``dropped`` are gaps in ``seq``, ``duplicate`` frames have the stamp of the one before, ``reordered`` an older one.
    ``skew_p95_ms``: 95 % of the last second's pairs are nearer; None without any. ``drift_ppm``: how much faster our
    clock runs than a live camera's own, where it has one.
    """

    frames: dict[FrameKind, int] = field(default_factory=dict)
    dropped: dict[FrameKind, int] = field(default_factory=dict)
    late: dict[FrameKind, int] = field(default_factory=dict)
    duplicate: dict[FrameKind, int] = field(default_factory=dict)
    reordered: dict[FrameKind, int] = field(default_factory=dict)
    detections: int = 0
    windows: int = 0
    skew_p95_ms: float | None = None
    drift_ppm: dict[FrameKind, float] = field(default_factory=dict)


class Pipeline:
    """Frames of one RGB and at most one thermal camera in, outputs in order of stream time out. Not thread-safe.

    ``person`` makes the subject that is told what the cameras see, from the arguments of :class:`Person`.
    """

    def __init__(
        self,
        bundle: Bundle,
        runtime: Runtime,
        tracker: Tracker,
        options: Options,
        person: Callable[..., Subject] = Person,
    ) -> None:
        self._bundle, self._runtime, self._options = bundle, runtime, options
        self._has_channel = options.thermal or "thermal" in bundle.channels
        self._pairer = Pairer(round(options.pair_gate_ms * 1e6), options.thermal, offset=options.rig.time)
        self._view = ThermalView(options.rig)
        self._tracker = tracker
        self._person = person(bundle, thermal=self._has_channel, camera=options.thermal, hop_s=options.hop_s)
        kinds: tuple[FrameKind, ...] = ("rgb", "thermal") if options.thermal else ("rgb",)
        self._intakes: dict[FrameKind, Intake] = {kind: Intake() for kind in kinds}
        self._limits = RateLimits()
        self._looks, self._hops = Schedule(1.0), Schedule(options.hop_s)
        self._track: FaceTrack | None = None
        self._number = 0  # of the person in sight, or seen last
        self._grid: PairGrid | None = None
        self._motion = MotionMeter()
        self._moves: deque[tuple[int, npt.NDArray[np.float32]]] = deque()
        self._thermal_cells: tuple[int, npt.NDArray[np.float32]] | None = None
        self._last_look_ns: int | None = None
        self._shutter_ns: int | None = None
        self._moved_ns: int | None = None  # when the face jumped to another place
        self._faults = 0
        self._windows = 0

    # ------------------------------------------------------------------------------------------------ in

    def push(self, frame: Frame) -> Iterator[Output]:
        """Take one frame; gives what became due by it. InputError when it is not of the size the rig was made for."""
        self._options.rig.check_picture(frame.kind, frame.image.shape)
        intake = self._intakes[frame.kind]
        intake.count(frame)
        pairs = self._pairer.push(frame)
        thermal_ns = self._pairer.newest_ns("thermal")
        if frame.kind == "thermal" and thermal_ns is not None:
            intake.reach(thermal_ns)
        yield from self._take(pairs)

    def end(self, kind: FrameKind) -> Iterator[Output]:
        """One camera came to its end."""
        yield from self._take(self._pairer.end(kind))

    def idle(self, now_ns: int) -> Iterator[Output]:
        """Time passes: ``now_ns`` is the present on the clock of the stamps (live cameras only). Call it often."""
        self._looks.start(now_ns)
        yield from self._due(now_ns - round(_OVERDUE_S * _S))

    def finish(self) -> Iterator[Output]:
        """No more frames come: a last look at what is there."""
        yield from self._take(self._pairer.finish())
        newest_ns = self._intakes["rgb"].newest_ns
        if newest_ns is not None:
            yield from self._due(newest_ns)
            if self._last_look_ns is None or newest_ns > self._last_look_ns:
                self._infer()
                yield from self._look(newest_ns)

    @property
    def counts(self) -> Counts:
        """Counters since the start."""
        stats = self._pairer.stats
        late: dict[FrameKind, int] = {"rgb": stats.late_rgb, "thermal": stats.late_thermal}
        twice: dict[FrameKind, int] = {"rgb": stats.duplicates_rgb, "thermal": stats.duplicates_thermal}
        older: dict[FrameKind, int] = {"rgb": stats.reordered_rgb, "thermal": stats.reordered_thermal}
        return Counts(
            frames={kind: intake.frames for kind, intake in self._intakes.items()},
            dropped={kind: intake.dropped for kind, intake in self._intakes.items()},
            late={kind: late[kind] for kind in self._intakes},
            duplicate={kind: twice[kind] for kind in self._intakes},
            reordered={kind: older[kind] for kind in self._intakes},
            detections=self._tracker.detections,
            windows=self._windows,
            skew_p95_ms=None if stats.skew_p95_ns is None else stats.skew_p95_ns / 1e6,
        )

    # ------------------------------------------------------------------------------------------------ frames to cells

    def _take(self, pairs: Iterable[FramePair]) -> Iterator[Output]:
        for pair in pairs:
            t_ns = pair.rgb.pts_ns
            self._looks.start(t_ns)
            self._hops.start(t_ns)
            yield from self._due(t_ns - 1)  # a look at time t has seen the frame of time t
            self._intakes["rgb"].reach(t_ns)
            self._see(pair)

    def _see(self, pair: FramePair) -> None:
        track = self._tracker.step(pair.rgb)
        if track is None:
            self._track = self._grid = None
            return
        if track.moved or self._grid is None:
            self._moved_ns = None if self._track is None else pair.rgb.pts_ns
            self._begin(pair.rgb.pts_ns)
        self._track, self._number = track, track.person
        region = square_enlarged(track.box, pair.rgb.image.shape)
        cells = model_cells(pair.rgb, region, self._bundle.size)
        motion = self._motion.step(np.asarray(pair.rgb.image, np.uint8), track.box)
        self._to_grid(pair, cells, self._thermal(pair, region), np.array([motion.x, motion.y], dtype=np.float32))

    def _begin(self, t_ns: int) -> None:
        """A face at a new place: nothing of the old place belongs to it."""
        clock = GridClock(t_ns, self._bundle.fps)
        self._grid = PairGrid(clock, self._has_channel)
        self._move_grid = Resampler(clock, RGB_LIMITS)
        self._moves.clear()
        self._motion.reset()
        self._person.forget()
        self._thermal_cells = None

    def _thermal(self, pair: FramePair, region: Box) -> tuple[int, npt.NDArray[np.float32]] | None:
        """Cells of the pair's thermal frame, made once for each thermal frame."""
        if pair.thermal_absent == "shutter":
            self._shutter_ns = pair.rgb.pts_ns
        if pair.thermal is None:
            return None
        stamp = pair.thermal.pts_ns
        if self._thermal_cells is None or self._thermal_cells[0] != stamp:
            cells = self._view.cells(pair.thermal, pair.rgb.image.shape, region, self._bundle.size)
            self._thermal_cells = None if cells is None else (stamp, cells)
        return self._thermal_cells

    def _to_grid(
        self,
        pair: FramePair,
        cells: npt.NDArray[np.float32],
        thermal: tuple[int, npt.NDArray[np.float32]] | None,
        move: npt.NDArray[np.float32],
    ) -> None:
        assert self._grid is not None
        t_ns = pair.rgb.pts_ns
        self._moves.extend((sample.k, sample.cells) for sample in self._move_grid.push(t_ns, move))
        for frame in self._grid.push(t_ns, cells, thermal):
            while self._moves[0][0] < frame.k:
                self._moves.popleft()
            self._person.take(frame, self._moves.popleft()[1])

    # ------------------------------------------------------------------------------------------------ time to outputs

    def _due(self, now_ns: int) -> Iterator[Output]:
        """Model runs and looks whose time is ``now_ns`` or before, in order.

        A run comes before a look of the same time.
        """
        for schedule in (self._hops, self._looks):
            schedule.pass_over(now_ns)
        while True:
            hop_ns, look_ns = self._hops.next_ns, self._looks.next_ns
            if hop_ns is not None and hop_ns <= now_ns and (look_ns is None or hop_ns <= look_ns):
                self._hops.pop()
                self._infer()
            elif look_ns is not None and look_ns <= now_ns:
                self._looks.pop()
                yield from self._look(look_ns)
            else:
                return

    def _infer(self) -> None:
        clip = self._person.clip()
        if clip is None:
            self._faults = 0
            return
        try:
            outputs = self._runtime.infer(clip.data[None])
            self._faults = 0
        except FaultError:
            self._faults += 1
            if self._faults >= _MAX_FAULTS:
                raise
            return
        self._windows += 1
        self._person.accept({task: outputs[task][0] for task in self._bundle.tasks})

    def _look(self, t_ns: int) -> Iterator[Output]:
        self._last_look_ns = t_ns
        hr, rr = self._situations(t_ns)
        look = self._person.look(t_ns, hr, rr)
        rates = {kind: intake.rate_at(t_ns) for kind, intake in self._intakes.items()}
        skew_ns = self._pairer.stats.skew_median_ns
        yield Vitals(
            hr=look.hr,
            rr=look.rr,
            pts_ns=t_ns,
            zone=self._options.zone,
            person=self._number,
            mode=self._options.mode,
            bundle_id=self._bundle.id,
            fps={kind: rate.fps if rate else 0.0 for kind, rate in rates.items()},
            dropped={kind: intake.dropped for kind, intake in self._intakes.items()},
            skew_ms=None if skew_ns is None else skew_ns / 1e6,
            face_px=self._track.side_px if self._track else 0.0,
        )
        if look.waves is not None and look.hr.state in ("ok", "low_quality"):
            yield WaveBlock(look.waves, self._options.zone, self._number)

    def _situations(self, t_ns: int) -> tuple[Situation, Situation]:
        """What forbids HR, and what forbids RR, whatever the signals say."""
        if self._faults:
            both = Situation("fault", ("runtime",))
        elif self._intakes["rgb"].silent_s(t_ns) > SILENT_S:
            both = Situation("camera_lost", ("camera_ended",))
        elif self._track is None:
            both = Situation("no_face", ("no_face",))
        else:
            both = self._poor_input(self._track, t_ns)
        return both, self._poor_thermal(t_ns, both)

    def _poor_thermal(self, t_ns: int, both: Situation) -> Situation:
        """What holds for RR beside what holds for both: its state where that one wins, and the shutter."""
        thermal = self._intakes.get("thermal")
        if thermal is None:
            return both
        silent_s = thermal.silent_s(t_ns)
        if silent_s > _THERMAL_SILENT_S:
            return first_named(both, Situation("thermal_lost", ("thermal_gap",)))
        shut = self._shutter_ns is not None and t_ns - self._shutter_ns < _SHUTTER_S * _S
        why = {"thermal_gap": silent_s > SILENT_S and not shut, "ffc": shut}
        return first_named(both, Situation(None, codes_that_hold(why)))

    def _poor_input(self, track: FaceTrack, t_ns: int) -> Situation:
        rate = self._intakes["rgb"].rate_at(t_ns)
        broken = self._limits.broken_by(rate) if rate else ()
        window_ns = self._bundle.frames * _S / self._bundle.fps
        found = {
            "face_small": track.side_px < _MIN_FACE_PX,
            "face_moved": self._moved_ns is not None and t_ns - self._moved_ns < window_ns,
        }
        seen = Situation(None, codes_that_hold(found))
        return first_named(Situation("lost", broken), seen) if broken else seen
