"""Recordings of the synthetic scene, seen as the device would see them.

The face region is drawn at about 36 x 36 pixels, each the mean of the camera pixels under it. Where it lies is decided
by the device's own tracker on a detector that errs; the device's own area mean makes the cells, and its own time grid
takes cameras that run at their own rates (thermal at 8.7 Hz). Everything random follows from a seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

from edge.cameras.codec import CodecName, codec_by_name
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
THERMAL_FPS = (8.7, 8.7, 9.0, 25.0)
THERMAL_ROWS = (60, 120, 120, 192)
PSF_PX = (0.5, 1.2)
PARALLAX = 0.015
"""How far the thermal camera's picture lies beside the RGB one, rms, as a share of the picture's height."""
FACE_PX = (80.0, 110.0)
"""Width of the face in a compressing camera: the least that is wanted, up to what costs too much to draw."""
MJPEG = 0.4
"""Share of MJPEG among compressed recordings; the others are H.264."""
QUALITY, BITS_PER_PX = (50.0, 95.0), (0.05, 0.6)
"""At 640x480 and 30 fps these are 0.5 to 5.5 Mbit/s."""
JUMPS = 0.25
"""Share of recordings whose box jumps once a second, as that of a tracker that does not smooth."""
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
        psf_px=float(rng.uniform(*PSF_PX)),
        nuisance=float(rng.uniform(*data.nuisance)),
    )


def recording_from_scene(data: DataChoice, size: int, channels: int, length: int, seed: tuple[int, ...]) -> Recording:
    """A recording of ``length`` grid frames of ``size`` pixels; ``channels`` is 1 (thermal), 3 (RGB) or 4 (both)."""
    rng = np.random.default_rng(seed)
    scene = Scene(params_from_range(data, length / data.fps + 2.0 * LEAD_S, rng))
    rgb_s = _stamps(float(rng.choice(RGB_FPS)), scene.params.seconds, rng)
    thermal_s = _stamps(float(rng.choice(THERMAL_FPS)), scene.params.seconds, rng)
    columns, rows = RGB_SIZES[int(rng.integers(len(RGB_SIZES)))]
    regions = _tracked_regions(scene, rgb_s, (rows, columns, 3), rng)
    clock = GridClock(round(LEAD_S * NS_PER_S), data.fps)
    streams = []
    coding = _coding(data, rng)
    if channels != 1:
        if coding is None:
            cells = _means(scene.mean_rgb(rgb_s, [_view(region, rows, data.pixels) for region in regions]), size)
        else:
            cells = _coded_cells(scene, rgb_s, regions, coding, size)
        streams.append(_on_grid(rgb_s, cells, Resampler(clock, RGB_LIMITS), length))
    if channels != 3:
        latest = np.maximum(np.searchsorted(rgb_s, thermal_s, side="right") - 1, 0)
        thermal_rows = int(rng.choice(THERMAL_ROWS))
        beside = rng.normal(0.0, PARALLAX, 2)
        places = [_moved(regions[i], beside) for i in latest]
        pictures = scene.render_thermal(thermal_s, [_view(place, thermal_rows, data.pixels) for place in places])
        streams.append(_on_grid(thermal_s, _means(pictures[..., None], size), Resampler(clock, THERMAL_LIMITS), length))
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


def _means(pictures: Floats, size: int) -> Iterator[Floats]:
    """Pictures ``[n, P, P, C]`` as cells ``[size, size, C]``."""
    return (area_mean(picture, size) for picture in pictures)


def _on_grid(times_s: Times, cells: Iterable[Floats], resampler: Resampler, length: int) -> Floats:
    """Cells ``[size, size, C]`` at ``times_s`` as ``[length, C, size, size]`` of the grid from its frame 0."""
    samples = [
        sample.cells
        for t_ns, seen in zip(np.rint(times_s * NS_PER_S).astype(int).tolist(), cells, strict=True)
        for sample in resampler.push(t_ns, seen.transpose(2, 0, 1))
    ]
    return np.stack(samples[:length])


# ---------------------------------------------------------------------------------------------------------- compression


@dataclass(frozen=True, slots=True)
class _Coding:
    """A compressing camera: how wide the face is in it, and either JPEG quality or H.264 bits a pixel."""

    face_px: float
    name: CodecName
    quality: int
    bits_per_px: float


def _coding(data: DataChoice, rng: np.random.Generator) -> _Coding | None:
    """How a recording is compressed; None for a share of them that are not."""
    coded, mjpeg = rng.random(2)
    face_px, quality, bits = rng.uniform(*FACE_PX), rng.uniform(*QUALITY), np.exp(rng.uniform(*np.log(BITS_PER_PX)))
    if coded >= data.coded:
        return None
    return _Coding(float(face_px), "mjpeg" if mjpeg < MJPEG else "h264", round(float(quality)), float(bits))


def _coded_cells(scene: Scene, times_s: Times, regions: list[Box], coding: _Coding, size: int) -> Iterator[Floats]:
    """Cells ``[size, size, 3]`` of a camera that sees just what all ``regions`` cover, encoded and decoded.

    Pixels are those of the camera, noise and rounding included; this is the deployed chain on a smaller picture.
    """
    x, y = min(r.x for r in regions), min(r.y for r in regions)
    right, bottom = max(r.x + r.w for r in regions), max(r.y + r.h for r in regions)
    density = coding.face_px / scene.params.face_side
    columns, rows = (2 * math.ceil(0.5 * density * side) for side in (right - x, bottom - y))
    view = View(x, y, columns / density, rows / density, columns, rows)
    fps = (len(times_s) - 1) / float(times_s[-1] - times_s[0])
    kbit_s = coding.bits_per_px * columns * rows * fps / 1000.0
    codec = codec_by_name(coding.name, quality=coding.quality, kbit_s=kbit_s, fps=fps)
    for picture, region in zip(map(codec.pass_through, scene.render_rgb(times_s, view)), regions, strict=True):
        place = Box((region.x - x) * density, (region.y - y) * density, region.w * density, region.h * density)
        yield area_mean(picture, size, place)


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
        found = tracker.step(Frame(blank, round(t_s * NS_PER_S), "media", seq, "rgb"))
        tracks.append(found[0] if found else None)
    first = next(track for track in tracks if track)
    rows, columns = shape[:2]
    boxes = [(track or first).box for track in tracks]
    if rng.random() < JUMPS:
        size = rng.uniform(0.0, 0.03)
        jumps = size * rng.standard_normal((int(times_s[-1]) + 2, 2))
        boxes = [_moved(box, box.w * jumps[int(t_s)]) for box, t_s in zip(boxes, times_s.tolist(), strict=True)]
    regions = [square_enlarged(box, shape) for box in boxes]
    return [Box((r.x - 0.5 * columns) / rows, r.y / rows, r.w / rows, r.h / rows) for r in regions]


def _moved(box: Box, shift: Times) -> Box:
    return Box(box.x + float(shift[0]), box.y + float(shift[1]), box.w, box.h)


def _view(region: Box, sensor_rows: int, pixels: int) -> View:
    """``region`` (scene coordinates) as ``pixels`` x ``pixels`` means over the pixels of a camera with so many rows."""
    under = region.w * region.h * (sensor_rows / pixels) ** 2
    return View(region.x, region.y, region.w, region.h, pixels, pixels, max(under, 1.0))
