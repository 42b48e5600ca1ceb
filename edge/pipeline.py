"""One step of the method, pure: a frame in, vitals and waveforms out.

    frame -> pairs by stamp -> face -> cells -> uniform grid -> windows -> model -> waveforms -> rates -> states

No threads, no wall clock, no files: what comes out depends on the frames and their stamps alone, so the same recording
gives the same vitals at any speed. Looks (1 Hz) and model runs (every hop) are scheduled on stamps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bed import Bed
from edge.bundle import Bundle
from edge.clips.crop import MIN_FACE_PX, Box, model_cells, square_enlarged
from edge.clips.frame_rate import RateLimits
from edge.clips.pairing import Pairer
from edge.clips.thermal_view import ThermalView
from edge.errors import FaultError
from edge.faces.track import FaceTrack, Tracker
from edge.follower import Follower, Heat
from edge.frames import Frame, FrameKind, FramePair
from edge.intake import SILENT_S, Intake, Schedule
from edge.person import RR_WINDOW_S, Look, Person, Subject, Waves
from edge.rig import IDENTITY, Rig
from edge.runtimes import Runtime
from edge.sight import Followed
from edge.signals.state import Situation, first_named
from edge.vitals import Mode, Signals, State, Vitals, codes_that_hold
from edge.zones import Seats, Zone

__all__ = ["Counts", "Options", "Output", "Pipeline", "Presence", "Watch", "WaveBlock"]

_S = 1_000_000_000
_THERMAL_SILENT_S = 2.5
"""A thermal camera that sent nothing for so long is lost: its shutter pauses last 2 s. RR is not ``ok`` from 1 s on."""
_OVERDUE_S = 0.5
"""A look that no frame brought about for so long is taken without one."""
_SHUTTER_S = 3.0
"""So long after a shutter pause RR is not ``ok``."""
_FROZEN_S = 1.0
"""A face's picture that was the very same for so long stands still."""
_MAX_FAULTS = 3
"""Failed model runs in a row before the fault is passed on."""
_CROWDED_S = 2.0
"""So long after two faces were followed, another one may still step into a box."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the pipeline runs. ``thermal``: a thermal camera is there. ``hop_s``: time between two runs of the model.

    ``rig``: how the thermal picture and clock lie to those of RGB; the identity rig when none was measured.
    ``zones`` are watched, or without any the whole picture as ``zone``. ``people``: how many the tracker follows at
    most. Who comes and leaves is told when there are zones or several people.
    """

    zone: str
    thermal: bool
    hop_s: float = 1.0
    pair_gate_ms: float = 80.0
    rig: Rig = IDENTITY
    zones: tuple[Zone, ...] = ()
    people: int = 1

    @property
    def several(self) -> bool:
        """Whether there is more to tell apart than one face in one place."""
        return bool(self.zones) or self.people > 1


@dataclass(frozen=True, slots=True, eq=False)
class WaveBlock:
    """A piece of waveform of one person. ``mode`` and ``states`` as in :class:`edge.person.Waves`."""

    signals: Signals
    zone: str
    person: int
    mode: Mode | None = None
    states: tuple[State, State] = ("ok", "ok")


@dataclass(frozen=True, slots=True)
class Presence:
    """A person came into a zone, or left it."""

    zone: str
    person: int
    pts_ns: int
    here: bool


Output = Vitals | WaveBlock | Presence
Watch = Callable[[Frame, tuple[FaceTrack, ...], int, tuple[Box, ...]], None]
"""Told of each RGB frame: the faces in it, the runs of the detector so far, and every part of the picture that was read
beside the tracker's looking."""


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

    ``person`` makes the subjects that are told what the cameras see, from the arguments of :class:`Person`. ``warm``
    follows the one face in thermal frames: then the thermal region is its place, instead of that of the RGB face.
    ``watch`` is told what of each RGB picture was read.
    """

    def __init__(
        self,
        bundle: Bundle,
        runtime: Runtime,
        tracker: Tracker,
        options: Options,
        person: Callable[..., Subject] = Person,
        warm: Tracker | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._bundle, self._runtime, self._options = bundle, runtime, options
        self._has_channel = options.thermal or "thermal" in bundle.channels
        self._pairer = Pairer(round(options.pair_gate_ms * 1e6), options.thermal, offset=options.rig.time)
        self._tracker, self._warm = tracker, warm
        self._watch = watch or (lambda *_seen: None)
        self._warm_face: tuple[int, FaceTrack | None] = (-1, None)
        self._hop_s = options.hop_s
        zones = options.zones or (Zone(options.zone),)
        self._seats = Seats(zones)

        def seat() -> Follower:
            subject = person(bundle, thermal=self._has_channel, camera=options.thermal, hop_s=self._hop_s)
            return Follower(bundle, subject, self._heat, has_channel=self._has_channel)

        self._beds = [Bed(zone.name, seat) for zone in zones]
        kinds: tuple[FrameKind, ...] = ("rgb", "thermal") if options.thermal else ("rgb",)
        self._intakes: dict[FrameKind, Intake] = {kind: Intake() for kind in kinds}
        self._limits = RateLimits()
        self._looks, self._hops = Schedule(1.0), Schedule(options.hop_s)
        self._last_look_ns: int | None = None
        self._shutter_ns: int | None = None
        self._crowded_ns: int | None = None
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

    def pace(self, hop_s: float, face_every_s: float) -> None:
        """From here on run the model every ``hop_s`` and look for faces every ``face_every_s`` (live cameras only)."""
        self._hop_s = hop_s
        self._hops.pace(hop_s)
        for seat in (seat for bed in self._beds for seat in bed.seats):
            seat.subject.pace(hop_s)
        self._tracker.pace(face_every_s)

    @property
    def followed(self) -> tuple[Followed, ...]:
        """The faces that are followed now."""
        seats = ((bed.zone, seat) for bed in self._beds for seat in bed.seats)
        return tuple((zone, seat.number, seat.track.box) for zone, seat in seats if seat.track is not None)

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
            yield from self._see(pair)

    def _see(self, pair: FramePair) -> Iterator[Output]:
        t_ns, tracks = pair.rgb.pts_ns, self._tracker.step(pair.rgb)
        regions: list[Box] = []
        if tracks and pair.thermal_absent == "shutter":
            self._shutter_ns = t_ns
        if len(tracks) > 1:
            self._crowded_ns = t_ns
        crowded = self._crowded_ns is not None and t_ns - self._crowded_ns < _CROWDED_S * _S
        heat_moved = self._look_for_warmth(pair)
        seated = self._seats.assign(tracks, pair.rgb.image.shape)
        for bed in self._beds:
            yield from self._goodbye(bed, seated[bed.zone], t_ns)
        for bed in self._beds:
            for seat, track in bed.sit(seated[bed.zone]):
                if seat.track is None and self._options.several:
                    yield Presence(bed.zone, track.person, t_ns, here=True)
                for waves in seat.see(pair, track, crowded=crowded, heat_moved=heat_moved):
                    yield _block(waves, bed, seat)
                regions += seat.read
        self._watch(pair.rgb, tracks, self._tracker.detections, tuple(regions))

    def _goodbye(self, bed: Bed, here: list[FaceTrack], t_ns: int) -> Iterator[Output]:
        """Whoever left a zone takes the value along at once."""
        for seat in bed.leave(here):
            if self._options.several:
                yield from self._look_at(bed, seat, t_ns)
                yield Presence(bed.zone, seat.number, t_ns, here=False)
        bed.tidy()

    def _look_for_warmth(self, pair: FramePair) -> bool:
        """Follow the warm face of a new thermal frame; True where its place is another one than before."""
        thermal = pair.thermal
        if self._warm is None or thermal is None or thermal.pts_ns == self._warm_face[0]:
            return False
        track = next(iter(self._warm.step(thermal)), None)
        self._warm_face = thermal.pts_ns, track
        return track is not None and track.moved

    def _heat(self) -> Heat:
        """What shows thermal of a face at a new place."""
        return partial(self._thermal, ThermalView(self._options.rig))

    def _thermal(self, view: ThermalView, pair: FramePair, region: Box) -> npt.NDArray[np.float32] | None:
        """Cells of the pair's thermal frame where the face with this RGB region is; None where it is not seen."""
        if pair.thermal is None:
            return None
        if self._warm is None:
            return view.cells(pair.thermal, pair.rgb.image.shape, region, self._bundle.size)
        if self._warm_face[1] is None:
            return None
        box = square_enlarged(self._warm_face[1].box, pair.thermal.image.shape)
        return model_cells(pair.thermal, box, self._bundle.size)

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
        """One run of the model over the windows of all persons for whom one is due; a fault hits all."""
        asked = [(seat.subject, seat.subject.clip()) for bed in self._beds for seat in bed.seats]
        due = [(subject, clip.data) for subject, clip in asked if clip is not None]
        if not due:
            self._faults = 0
            return
        frames = [data for _, data in due]
        try:
            outputs = self._runtime.infer(np.stack(frames) if len(frames) > 1 else frames[0][None])
            self._faults = 0
        except FaultError:
            self._faults += 1
            if self._faults >= _MAX_FAULTS:
                raise
            return
        self._windows += len(due)
        for i, (subject, _) in enumerate(due):
            subject.accept({task: outputs[task][i] for task in self._bundle.tasks})

    def _look(self, t_ns: int) -> Iterator[Output]:
        self._last_look_ns = t_ns
        for bed in self._beds:
            for seat in bed.seats:
                yield from self._look_at(bed, seat, t_ns)

    def _look_at(self, bed: Bed, seat: Follower, t_ns: int) -> Iterator[Output]:
        hr, rr = self._situations(seat, t_ns)
        look = seat.subject.look(t_ns, hr, rr)
        yield Vitals(
            hr=look.hr,
            rr=look.rr,
            pts_ns=t_ns,
            zone=bed.zone,
            person=seat.number,
            mode=look.mode,
            bundle_id=self._bundle.id,
            face_px=seat.track.side_px if seat.track else 0.0,
            lead=seat is bed.seats[0],
            beats=look.beats,
            **self._cameras_at(t_ns),
            facts=self._facts(seat, look, t_ns),
            spectra=_spectra(look),
        )
        if look.waves is not None:
            yield _block(look.waves, bed, seat)

    def _cameras_at(self, t_ns: int) -> dict[str, Any]:
        """What :class:`Vitals` tells of the cameras."""
        rates = {kind: intake.rate_at(t_ns) for kind, intake in self._intakes.items()}
        skew_ns = self._pairer.stats.skew_median_ns
        return {
            "fps": {kind: rate.fps if rate else 0.0 for kind, rate in rates.items()},
            "dropped": {kind: intake.dropped for kind, intake in self._intakes.items()},
            "skew_ms": None if skew_ns is None else skew_ns / 1e6,
        }

    def _facts(self, seat: Follower, look: Look, t_ns: int) -> dict[str, dict[str, float]]:
        """What was measured beside HR and RR: of the cameras, of the face, and of the evidence of each."""
        rate = self._intakes["rgb"].rate_at(t_ns)
        silent = {"silent_s": self._intakes["rgb"].silent_s(t_ns)}
        if "thermal" in self._intakes:
            silent["thermal_silent_s"] = self._intakes["thermal"].silent_s(t_ns)
        seen = {name: seconds for name, seconds in silent.items() if math.isfinite(seconds)}
        seen |= {"face_px": seat.track.side_px} if seat.track else {}
        seen |= {"fps": rate.fps, "jitter_ms": rate.jitter_ms, "gap_s": rate.max_gap_s} if rate else {}
        estimates, evidence = (look.hr, look.rr), dict(zip(("hr", "rr"), look.evidence, strict=True))
        windows = {
            name: {"seen_s": one.window_s} if one.window_s else {}
            for name, one in zip(evidence, estimates, strict=True)
        }
        return {name: seen | windows[name] | dict(one.facts if one else {}) for name, one in evidence.items()}

    def _situations(self, seat: Follower, t_ns: int) -> tuple[Situation, Situation]:
        """What forbids HR, and what forbids RR, whatever the signals say."""
        if self._faults:
            both = Situation("fault", ("runtime",))
        elif self._intakes["rgb"].silent_s(t_ns) > SILENT_S:
            both = Situation("camera_lost", ("camera_ended",))
        elif seat.track is None:
            both = Situation("no_face", ("no_face",))
        else:
            stale = Situation("stale", ("frozen",)) if seat.still_s > _FROZEN_S else Situation()
            both = first_named(self._poor_input(seat, seat.track, t_ns), stale)
        return both, self._poor_thermal(seat, t_ns, both)

    def _poor_thermal(self, seat: Follower, t_ns: int, both: Situation) -> Situation:
        """What holds for RR beside what holds for both: its state where that one wins, and the shutter."""
        thermal = self._intakes.get("thermal")
        if thermal is None:
            return both
        silent_s = thermal.silent_s(t_ns)
        if silent_s > _THERMAL_SILENT_S:
            return first_named(both, Situation("thermal_lost", ("thermal_gap",)))
        shut = self._shutter_ns is not None and t_ns - self._shutter_ns < _SHUTTER_S * _S
        blind = seat.track is not None and seat.cold_s(t_ns) > SILENT_S
        why = {
            "thermal_gap": (silent_s > SILENT_S or blind) and not shut,
            "ffc": shut,
            "face_moved": seat.heat_moved_within(RR_WINDOW_S[0] * _S, t_ns),
        }
        return first_named(both, Situation(None, codes_that_hold(why)))

    def _poor_input(self, seat: Follower, track: FaceTrack, t_ns: int) -> Situation:
        rate = self._intakes["rgb"].rate_at(t_ns)
        broken = self._limits.broken_by(rate) if rate else ()
        window_ns = self._bundle.frames * _S / self._bundle.fps
        found = {
            "face_small": track.side_px < MIN_FACE_PX,
            "face_moved": seat.moved_within(window_ns, t_ns),
        }
        seen = Situation(None, codes_that_hold(found))
        return first_named(Situation("lost", broken), seen) if broken else seen


def _spectra(look: Look) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Rates and power of the spectra that HR and RR were read from, where there is evidence."""
    seen = {name: one.read_from for name, one in zip(("hr", "rr"), look.evidence, strict=True) if one is not None}
    return {name: (one.per_min, one.power) for name, one in seen.items() if one is not None}


def _block(waves: Waves, bed: Bed, seat: Follower) -> WaveBlock:
    return WaveBlock(waves.signals, bed.zone, seat.number, waves.mode, waves.states)
