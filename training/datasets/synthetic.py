"""Recordings of the synthetic scene, seen as the device would see them.

The face region is drawn at about 36 x 36 pixels, each the mean of the camera pixels under it. Where it lies is decided
by the device's own tracker on a detector that errs; the device's own area mean makes the cells, and its own time grid
takes cameras that run at their own rates (thermal at 8.7 Hz). Everything random follows from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

from edge.cameras.scene import Scene, SceneParams, View
from edge.clips.crop import Box, area_mean, square_enlarged
from edge.clips.grid import RGB_LIMITS, THERMAL_LIMITS, GridClock, Resampler
from edge.faces import Detection
from edge.faces.track import FaceTracker
from edge.frames import Frame
from training.recipe import DataChoice

__all__ = ["Recording", "params_from_range", "recording_from_scene"]

Floats = npt.NDArray[np.float32]
Times = npt.NDArray[np.float64]

NS_PER_S = 1_000_000_000
RGB_FPS = (24.0, 25.0, 29.97, 30.0, 30.0, 30.0)
"""Frame rates of usual cameras; most are 30."""
RGB_SIZES = ((640, 480), (1280, 720), (1920, 1080))
THERMAL_FPS = 8.7
THERMAL_ROWS = (120, 192, 512)
LEAD_S = 1.0
"""The cameras start this long before the first grid frame, so that the tracker is settled, and run as much longer."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """``frames`` float32 ``[C, L, S, S]``; ``series`` float32 ``[L]`` each: bvp, rsp, hr, rr; ``tone`` 1..6."""

    frames: Floats
    series: dict[str, Floats]
    tone: float


def params_from_range(data: DataChoice, seconds: float, rng: np.random.Generator) -> SceneParams:
    """One scene drawn from the ranges of ``data``; its rates drift by a few per cent."""

    def log_even(span: tuple[float, float]) -> float:
        return float(np.exp(rng.uniform(*np.log(span))))

    hr, rr = log_even(data.hr), log_even(data.rr)
    drift = np.exp(rng.normal(0.0, 0.06, 2))
    return SceneParams(
        seconds=seconds,
        seed=int(rng.integers(2**62)),
        hr=hr,
        rr=rr,
        hr_to=float(np.clip(hr * drift[0], *data.hr)),
        rr_to=float(np.clip(rr * drift[1], *data.rr)),
        amplitude=log_even(data.amplitude),
        breath_degc=float(rng.uniform(*data.breath_degc)),
        tone=float(rng.uniform(*data.tone)),
        ambient_degc=float(rng.uniform(18.0, 28.0)),
        face_side=float(rng.uniform(0.25, 0.5)),
        nuisance=float(rng.uniform(*data.nuisance)),
    )


def recording_from_scene(data: DataChoice, size: int, channels: int, length: int, seed: tuple[int, ...]) -> Recording:
    """A recording of ``length`` grid frames of ``size`` pixels; ``channels`` is 1 (thermal), 3 (RGB) or 4 (both)."""
    rng = np.random.default_rng(seed)
    scene = Scene(params_from_range(data, length / data.fps + 2.0 * LEAD_S, rng))
    rgb_s = _stamps(float(rng.choice(RGB_FPS)), scene.params.seconds, rng)
    thermal_s = _stamps(THERMAL_FPS, scene.params.seconds, rng)
    columns, rows = RGB_SIZES[int(rng.integers(len(RGB_SIZES)))]
    regions = _tracked_regions(scene, rgb_s, (rows, columns, 3), rng)
    clock = GridClock(round(LEAD_S * NS_PER_S), data.fps)
    streams = []
    if channels != 1:
        pictures = scene.mean_rgb(rgb_s, [_view(region, rows, data.pixels) for region in regions])
        streams.append(_on_grid(rgb_s, pictures.transpose(0, 3, 1, 2), size, Resampler(clock, RGB_LIMITS), length))
    if channels != 3:
        latest = np.maximum(np.searchsorted(rgb_s, thermal_s, side="right") - 1, 0)
        thermal_rows = int(rng.choice(THERMAL_ROWS))
        pictures = scene.render_thermal(thermal_s, [_view(regions[i], thermal_rows, data.pixels) for i in latest])
        streams.append(_on_grid(thermal_s, pictures[:, None], size, Resampler(clock, THERMAL_LIMITS), length))
    frames = np.concatenate(streams, axis=1).transpose(1, 0, 2, 3)
    return Recording(frames, _series(scene, data, length), scene.params.tone)


def _series(scene: Scene, data: DataChoice, length: int) -> dict[str, Floats]:
    """Labels and true rates at the grid's times."""
    truth = scene.truth(LEAD_S + np.arange(length) / data.fps)
    bvp = _smooth(truth.bvp, data.bvp_label_harmonics * float(truth.hr_per_min.mean()) / 60.0, data.fps)
    series = {"bvp": bvp, "rsp": truth.rsp, "hr": truth.hr_per_min, "rr": truth.rr_per_min}
    return {name: values.astype(np.float32) for name, values in series.items()}


def _smooth(wave: Times, cutoff_hz: float, fps: float) -> Times:
    """Low-pass without delay; unchanged when the cut-off is not below half the frame rate."""
    if cutoff_hz >= 0.5 * fps:
        return wave
    return np.asarray(signal.sosfiltfilt(signal.butter(2, cutoff_hz, fs=fps, output="sos"), wave))


# ------------------------------------------------------------------------------------------------------------ cameras


def _stamps(fps: float, seconds: float, rng: np.random.Generator) -> Times:
    """Stamps in seconds of a free-running camera: own phase, clock error, jitter, now and then a dropped frame."""
    fps *= 1.0 + rng.normal(0.0, 1e-4)
    count = int(seconds * fps)
    stamps = (rng.uniform(0.0, 1.0) + np.arange(count)) / fps
    stamps += rng.uniform(0.0, 0.08) / fps * np.clip(rng.standard_normal(count), -3.0, 3.0)
    kept = rng.random(count) >= rng.choice([0.0, 0.0, 0.01])
    kept[[0, -1]] = True
    return np.asarray(np.clip(stamps[kept], 0.0, seconds))


def _on_grid(times_s: Times, pictures: Floats, size: int, resampler: Resampler, length: int) -> Floats:
    """Pictures ``[n, C, P, P]`` at ``times_s`` as cells ``[length, C, size, size]`` of the grid from its frame 0."""
    samples = [
        sample.cells
        for t_ns, picture in zip(np.rint(times_s * NS_PER_S).astype(int).tolist(), pictures, strict=True)
        for sample in resampler.push(t_ns, area_mean(picture.transpose(1, 2, 0), size).transpose(2, 0, 1))
    ]
    return np.stack(samples[:length])


# -------------------------------------------------------------------------------------------------------------- faces


class _ErringDetector:
    """Finds the scene's face at ``t_s``, wrong by a constant and by a little more each time."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self.t_s = 0.0
        self._scene, self._rng = scene, rng
        self._constant = rng.normal(0.0, (0.03, 0.03, 0.06))
        self._spread = rng.uniform(0.0, 0.03)

    def detect(self, rgb: npt.NDArray[np.uint8]) -> list[Detection]:
        rows, columns = rgb.shape[:2]
        x, y, side = self._scene.face_box(self.t_s)[0].tolist()
        across, down, larger = (self._constant + self._spread * self._rng.standard_normal(3)).tolist()
        found = side * float(np.exp(larger))
        left, top = x + side * (0.5 + across) - 0.5 * found, y + side * (0.5 + down) - 0.5 * found
        return [Detection(Box(rows * left + 0.5 * columns, rows * top, rows * found, rows * found), 1.0)]


def _tracked_regions(scene: Scene, times_s: Times, shape: tuple[int, int, int], rng: np.random.Generator) -> list[Box]:
    """The region the device would cut out of the RGB frame at each time, in scene coordinates."""
    detector = _ErringDetector(scene, rng)
    tracker = FaceTracker(detector)
    blank = np.broadcast_to(np.uint8(0), shape)
    tracks = []
    for seq, t_s in enumerate(times_s.tolist()):
        detector.t_s = t_s
        tracks.append(tracker.step(Frame(blank, round(t_s * NS_PER_S), "media", seq, "rgb")))
    first = next(track for track in tracks if track)
    rows, columns = shape[:2]
    regions = [square_enlarged((track or first).box, shape) for track in tracks]
    return [Box((r.x - 0.5 * columns) / rows, r.y / rows, r.w / rows, r.h / rows) for r in regions]


def _view(region: Box, sensor_rows: int, pixels: int) -> View:
    """``region`` (scene coordinates) as ``pixels`` x ``pixels`` means over the pixels of a camera with so many rows."""
    under = region.w * region.h * (sensor_rows / pixels) ** 2
    return View(region.x, region.y, region.w, region.h, pixels, pixels, max(under, 1.0))
