"""Scenes of the fault campaign, played once each, and what a person shows of them in each mode, look by look."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import cv2
import msgspec
import numpy as np

from edge.bundle import Bundle, load_bundle
from edge.cameras.scene import Scene as Subjects
from edge.cameras.synthetic import SyntheticCamera
from edge.faces import detector_by_name
from edge.faces.crowd import CrowdTracker
from edge.faces.track import FaceTracker
from edge.person import Look, Waves
from edge.pipeline import Options
from edge.runtimes import Runtime
from edge.runtimes.onnxrt import open_runtime
from edge.runtimes.onnxrt_stream import open_stream
from edge.stream_graph import StreamEngine
from edge.vitals import Beats, Estimate
from edge.zones import InZones, Zone
from training.yardstick.fault_scenes import Scene, cameras_of
from training.yardstick.tape import Tape, front_fingerprint, load_tape, replay, save_tape, tapes_of_seats

__all__ = ["MODES", "RATES", "Played", "Row", "TimedBeats", "played"]

MODES = ("exact", "stream")
RATES = ("hr", "rr")
ZONES = (Zone("left", (0.0, 0.0, 0.5, 1.0)), Zone("right", (0.5, 0.0, 1.0, 1.0)))
"""Of scenes with two people."""


class Row(msgspec.Struct, frozen=True):
    """One rate at one look. ``truth`` is the mean over the window that was looked at, or the longest there is."""

    seat: str
    mode: str
    rate: str
    t_s: float
    truth: float
    state: str
    value: float | None
    sqi: float
    why: tuple[str, ...]
    uncertainty: float | None


class TimedBeats(msgspec.Struct, frozen=True):
    """Beats given at one look: errors of the new intervals in ms, their stated uncertainty, RMSSD and the true one."""

    mode: str
    t_s: float
    errors_ms: tuple[float, ...]
    uncertainty_ms: float
    rmssd_ms: float | None
    true_rmssd_ms: float


class Played(msgspec.Struct, frozen=True):
    """What a scene showed. ``first_wave_s``: by mode, when the first piece of BVP came, None where none did."""

    scene: Scene
    fps: float
    rows: tuple[Row, ...]
    beats: tuple[TimedBeats, ...]
    first_wave_s: dict[str, float | None]


def played(scene: Scene, folder: Path) -> Played:
    """The scene in both modes; its cameras, detector, tracker and crop are played once and kept in ``folder``."""
    cv2.setNumThreads(1)
    bundle, runtime, engine = _engines()
    camera, tapes = _tapes(scene, bundle, folder)
    rows: list[Row] = []
    beats: list[TimedBeats] = []
    first: dict[str, float | None] = {}
    for mode in MODES:
        came: list[float] = []
        note = _noting(came)
        for zone, tape in tapes:
            truth = _Truth(scene, camera, zone)
            stream = engine if mode == "stream" else None
            for t_ns, look in replay(tape, bundle, runtime, stream, on_waves=note):
                if look.waves is not None:
                    note(t_ns, look.waves)
                rows += _rows(look, t_ns * 1e-9, mode, zone, truth)
                if look.beats is not None and scene.people == 1:
                    beats.append(_timed(look.beats, t_ns * 1e-9, mode, camera.scene))
        first[mode] = min(came, default=None)
    return Played(scene, camera.query.fps, tuple(rows), tuple(beats), first)


def _noting(came: list[float]) -> Callable[[int, Waves], None]:
    """Writes down when a piece of BVP came."""

    def note(t_ns: int, waves: Waves) -> None:
        if waves.signals.bvp is not None:
            came.append(t_ns * 1e-9)

    return note


@lru_cache(maxsize=1)
def _engines() -> tuple[Bundle, Runtime, StreamEngine]:
    """The default bundle, its windows and its stream; once in a process."""
    bundle = load_bundle(None)
    return bundle, open_runtime(bundle, "exact", "auto"), open_stream(bundle)[0]


def _rows(look: Look, t_s: float, mode: str, zone: str, truth: _Truth) -> Iterator[Row]:
    estimates: Mapping[str, Estimate] = {"hr": look.hr, "rr": look.rr}
    for rate, one in estimates.items():
        true = truth.at(rate, t_s, one.window_s)
        yield Row(zone, mode, rate, round(t_s, 3), true, one.state, one.value, one.sqi, one.why, one.uncertainty)


class _Truth:
    """The true rates of whoever is in a zone: with two people, those change when they change places."""

    def __init__(self, scene: Scene, camera: SyntheticCamera, zone: str) -> None:
        query = camera.query
        self._own = self._other = camera.scene
        self._swap_s = np.inf
        if scene.people == 2:
            second = msgspec.structs.replace(query, hr=query.hr2, rr=query.rr2, seed=query.seed2)
            both = [camera.scene, Subjects(second)]
            self._own, self._other = both if zone == ZONES[0].name else both[::-1]
            self._swap_s = scene.at_s + 0.5 * query.swap_s

    def at(self, rate: str, t_s: float, window_s: float) -> float:
        who = self._own if t_s < self._swap_s else self._other
        mean = who.mean_hr_per_min if rate == "hr" else who.mean_rr_per_min
        return mean(t_s, window_s or (10.0 if rate == "hr" else 30.0))


def _timed(beats: Beats, t_s: float, mode: str, subject: Subjects) -> TimedBeats:
    """An interval's truth is the time from its beginning to the same phase of the next beat."""
    true = subject.beats_s(0.0, subject.params.seconds)
    number = np.arange(len(true))
    ends, intervals = (np.array(part, np.float64) for part in (beats.ends_ns, beats.intervals_ms))
    starts_s = ends * 1e-9 - intervals * 1e-3
    whole_s = np.interp(np.interp(starts_s, true, number) + 1.0, number, true) - starts_s
    window = true[(true > t_s - 1.0 - beats.window_s) & (true < t_s - 1.0)]
    rmssd_ms = float(np.sqrt(np.mean(np.diff(window, 2) ** 2)) * 1e3)
    errors = tuple((intervals - whole_s * 1e3).round(2).tolist())
    return TimedBeats(mode, t_s, errors, beats.uncertainty_ms, beats.rmssd_ms, rmssd_ms)


# --------------------------------------------------------------------------------------------------------------- tapes


def _tapes(scene: Scene, bundle: Bundle, folder: Path) -> tuple[SyntheticCamera, list[tuple[str, Tape]]]:
    """Zone and tape of each seat, played where ``folder`` has them not."""
    cameras, camera = cameras_of(scene)
    key = hashlib.sha256(msgspec.json.encode([scene, bundle.size, bundle.fps, front_fingerprint()])).hexdigest()[:16]
    stem = f"{scene.name}-{key}"
    held = {path: load_tape(path) for path in sorted(folder.glob(f"{stem}.*.npz"))}
    if not held or None in held.values() or not any(path.name == f"{stem}.0.{_first(scene)}.npz" for path in held):
        detector, options = detector_by_name("haar"), Options("main", thermal=True)
        if scene.people == 2:
            zoned = Options("main", thermal=True, zones=ZONES, people=2)
            tapes = tapes_of_seats(bundle, cameras, CrowdTracker(InZones(detector, ZONES), 2), zoned)
        else:
            tapes = tapes_of_seats(bundle, cameras, FaceTracker(detector), options)
        for number, (zone, tape) in reversed(list(enumerate(tapes))):  # the first one comes last: then all are there
            save_tape(tape, folder / f"{stem}.{number}.{zone}.npz")
        return camera, tapes
    return camera, [(path.name.split(".")[-2], tape) for path, tape in held.items() if tape is not None]


def _first(scene: Scene) -> str:
    return ZONES[0].name if scene.people == 2 else "main"
