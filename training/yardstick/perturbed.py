"""The perturbed real clip: one recording of a real face, disturbed in thirteen ways and seen through nine boxes.

A still, bright face says little about a network: even random weights read its pulse. Disturbed, it tells networks
apart. Each case is one change, one size and one place of the box, and goes through the deployed chain from the
picture on; only the box is given instead of found.

Amplitudes are shares of the box's side (what the model sees is 1.5 sides wide), or of the light, which is a factor on
grey levels. What wanders (sway, drift) is given in rms over the clip, what beats (head rhythm, flicker) in amplitude;
paths, phases and moments are drawn from the case's name. The real picture is changed in float and rounded to 8 bits
once, up or down at random in proportion, as noise does in a sensor: plain rounding would leave a grey level of 49 alone
when the light flickers by 1 %. Then comes the codec, where there is one.

============= ======================================================================================================
``box_jumps`` the box jumps by 2 % each second, from corner to corner of a hexagon about its place
``sway_1``    the picture sways under the box, 0.1-0.6 Hz, 1 % rms (of the displacement in both directions)
``sway_3``    the same with 3 %
``rhythm``    the picture moves up and down at 1.7 Hz with an amplitude of 1 %
``drift``     the light drifts, 0.02-0.3 Hz, 5 % rms
``flicker``   the light flickers at 1.9 Hz with an amplitude of 1 %
``step``      the light falls by 15 % from one frame to the next, 3 to 7 s after the start
``dark``      0.35 of the light, and then the noise of a usual webcam
``cells``     the crop's 9x9 means in whole grey levels, each drawn as a block of pixels, under a box that fits them
``h264_15``   H.264 at 15 kbit/s; likewise ``h264_25``, ``h264_35``, ``h264_50``
============= ======================================================================================================

At so low a rate the encoder sends a little less than it may, and little more than its key frames every 2 s: at 15
kbit/s no method finds a pulse. Its pictures are those of all nine boxes, so these are four different cases, not 36.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.cameras import Camera
from edge.cameras.codec import CodecName, codec_by_name
from edge.cameras.scene_noise import NoisePool, expose
from edge.cameras.scene_params import stream
from edge.cameras.scene_physiology import Wander
from edge.cameras.video import VideoCamera
from edge.clips.crop import Box, area_mean, square_enlarged
from edge.errors import InputError
from edge.faces import detector_by_name
from edge.faces.track import FaceTrack, Tracker
from edge.frames import Frame, FrameKind
from edge.signals.references import CELLS

__all__ = ["CASES", "CHANGES", "OFFSETS", "SCALES", "TRUE_HR_PER_MIN", "WITHIN_PER_MIN", "PerturbedCase", "open_case"]

TRUE_HR_PER_MIN = 53.0
"""Quoted with the clip ("about 53"), not instrumented. POS reads 52.6 from every box of the plain clip."""
WITHIN_PER_MIN = 3.0
"""An estimate so near to it counts as right: half of what 10 s resolve, and more than the quoted rate is unsure."""

SCALES = (0.55, 0.62, 0.69)
"""Sizes of the box, in those of the detector's. That one enlarged is wider than this picture, so that no shift of it
would show; these stay inside with every offset, jump and sway, and real pixels are all that a model sees."""
OFFSETS = ((0.0, 0.0), (0.05, -0.03), (-0.05, 0.03))
"""Shifts of the box in shares of its side, right and down: errors that a detector makes."""

BLOCK_PX = 48
"""Side of a cell in the pictures of ``cells``; larger models (36, 72) see it as whole pixels of theirs."""
_SEED = 20_261_124

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class PerturbedCase:
    """One change of ``CHANGES`` seen through one box. ``name`` is unique, ``flicker-s0.62-o2``."""

    name: str
    change: str
    scale: float
    offset: tuple[float, float]


def open_case(case: PerturbedCase, clip: Path) -> tuple[Camera, Tracker]:
    """The perturbed ``clip`` as a camera that is not open yet, and a tracker that gives its box, for one run.

    The clip is decoded once in a process and kept. InputError when it cannot be read or starts without a face.
    """
    real = _real_clip(clip)
    plan = _PLANS[case.change](real.times_s, stream(_SEED, case.name))
    box = _box(real.face, case)
    boxes = [_BLOCKS] if plan.as_cells else [box]
    if plan.box_shift is not None:
        boxes = [_moved(box, shift) for shift in plan.box_shift]
    return _PerturbedCamera(case.name, real, plan, box), _GivenBoxes(boxes)


# ------------------------------------------------------------------------------------------------------------- changes


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What happens to the ``N`` frames of a clip; None and False leave them alone.

    ``gain`` of the light ``[N]``; ``shift`` of the picture and ``box_shift`` ``[N, 2]``, right and down in box sides;
    ``noise`` of a sensor; ``as_cells``: rounded as 9x9 means; ``kbit_s`` of H.264.
    """

    gain: Floats | None = None
    shift: Floats | None = None
    box_shift: Floats | None = None
    noise: bool = False
    as_cells: bool = False
    kbit_s: float | None = None


def _box_jumps(t_s: Floats, rng: Rng) -> _Plan:
    """A hexagon's side is as long as its radius, so every jump is 2 %, and no place farther than that."""
    second = (t_s - t_s[0]).astype(int)
    angle = rng.uniform(0.0, 2.0 * np.pi) + np.pi / 3.0 * np.cumsum(rng.choice([-1.0, 1.0], second[-1] + 1))[second]
    return _Plan(box_shift=0.02 * np.column_stack([np.cos(angle), np.sin(angle)]))


def _sway(rms: float, t_s: Floats, rng: Rng) -> _Plan:
    both = np.column_stack([_wander(t_s, rng, 0.1, 0.6) for _ in range(2)])
    return _Plan(shift=rms / np.sqrt(2.0) * both)


def _rhythm(t_s: Floats, rng: Rng) -> _Plan:
    return _Plan(shift=np.column_stack([np.zeros_like(t_s), 0.01 * _beat(t_s, rng, 1.7)]))


def _drift(t_s: Floats, rng: Rng) -> _Plan:
    return _Plan(gain=1.0 + 0.05 * _wander(t_s, rng, 0.02, 0.3))


def _flicker(t_s: Floats, rng: Rng) -> _Plan:
    return _Plan(gain=1.0 + 0.01 * _beat(t_s, rng, 1.9))


def _step(t_s: Floats, rng: Rng) -> _Plan:
    return _Plan(gain=np.where(t_s - t_s[0] < rng.uniform(3.0, 7.0), 1.0, 0.85))


def _dark(t_s: Floats, _rng: Rng) -> _Plan:
    return _Plan(gain=np.full_like(t_s, 0.35), noise=True)


def _wander(t_s: Floats, rng: Rng, low_hz: float, high_hz: float) -> Floats:
    """A smooth path ``[N]`` of mean 0 and rms 1 over the clip."""
    path = Wander(rng, low_hz, high_hz)(t_s)
    return np.asarray((path - path.mean()) / path.std())


def _beat(t_s: Floats, rng: Rng, hz: float) -> Floats:
    return np.asarray(np.sin(2.0 * np.pi * hz * t_s + rng.uniform(0.0, 2.0 * np.pi)))


_PLANS: Mapping[str, Callable[[Floats, Rng], _Plan]] = {
    "box_jumps": _box_jumps,
    "sway_1": partial(_sway, 0.01),
    "sway_3": partial(_sway, 0.03),
    "rhythm": _rhythm,
    "drift": _drift,
    "flicker": _flicker,
    "step": _step,
    "dark": _dark,
    "cells": lambda _t_s, _rng: _Plan(as_cells=True),
    "h264_15": lambda _t_s, _rng: _Plan(kbit_s=15.0),
    "h264_25": lambda _t_s, _rng: _Plan(kbit_s=25.0),
    "h264_35": lambda _t_s, _rng: _Plan(kbit_s=35.0),
    "h264_50": lambda _t_s, _rng: _Plan(kbit_s=50.0),
}
CHANGES = tuple(_PLANS)
CASES = tuple(
    PerturbedCase(f"{change}-s{scale:g}-o{number}", change, scale, offset)
    for change, scale, (number, offset) in product(CHANGES, SCALES, enumerate(OFFSETS))
)


# --------------------------------------------------------------------------------------------------------------- clip


@dataclass(frozen=True, slots=True, eq=False)
class _RealClip:
    """``images`` ``[N, H, W, 3]``, their stamps, and the face's box in the first."""

    images: Image
    pts_ns: tuple[int, ...]
    face: Box

    @property
    def times_s(self) -> Floats:
        return np.array(self.pts_ns) * 1e-9

    @property
    def fps(self) -> float:
        """The mean rate."""
        return (len(self.pts_ns) - 1) / float(self.times_s[-1] - self.times_s[0])


@lru_cache(maxsize=1)
def _real_clip(path: Path) -> _RealClip:
    with closing(VideoCamera(str(path), "rgb")) as camera:
        camera.open()
        frames = list(iter(camera.read, None))
    faces = detector_by_name("haar").detect(np.asarray(frames[0].image, np.uint8))
    if not faces:
        raise InputError(f"{path}: the first frame shows no face; give the real clip of a still face")
    images = np.stack([np.asarray(frame.image, np.uint8) for frame in frames])
    images.flags.writeable = False
    return _RealClip(images, tuple(frame.pts_ns for frame in frames), faces[0].box)


# -------------------------------------------------------------------------------------------------- camera and tracker


class _PerturbedCamera:
    """The frames of one case. ``box`` is where its face is looked for, in the real picture."""

    kind: FrameKind = "rgb"
    live = False

    def __init__(self, name: str, real: _RealClip, plan: _Plan, box: Box) -> None:
        self.name = f"perturbed:{name}"
        self._real, self._plan, self._box = real, plan, box
        self._noise = NoisePool(_SEED, name, real.images[0].size) if plan.noise else None
        self._next = len(real.images)

    def open(self) -> None:
        """Start at the first frame."""
        kbit_s = self._plan.kbit_s
        name: CodecName = "raw" if kbit_s is None else "h264"
        self._codec = codec_by_name(name, quality=100, kbit_s=kbit_s or 0.0, fps=self._real.fps)
        self._next = 0

    def read(self) -> Frame | None:
        """The next frame with the clip's own stamp; None at the end (or when not open)."""
        index = self._next
        if index >= len(self._real.images):
            return None
        self._next += 1
        picture = self._as_cells(index) if self._plan.as_cells else self._changed(index)
        return Frame(self._codec.pass_through(picture), self._real.pts_ns[index], "media", index, "rgb")

    def close(self) -> None:
        """End the stream."""
        self._next = len(self._real.images)

    def _changed(self, index: int) -> Image:
        plan = self._plan
        real: Image = self._real.images[index]
        if plan.shift is None and plan.gain is None:
            return real
        seen = real.astype(np.float32)
        if plan.shift is not None:
            seen = _shifted(seen, plan.shift[index] * self._box.w)
        if plan.gain is not None:
            seen *= np.float32(plan.gain[index])
        if self._noise is None:
            seen += stream(_SEED, f"{self.name} {index}").random(seen.shape, np.float32) - np.float32(0.5)
        else:
            grain = self._noise.at(self._real.pts_ns[index] * 1e-9, seen.shape)
            expose(seen, grain, 1.0, 1.0, np.empty_like(seen))
        return _rounded(seen)

    def _as_cells(self, index: int) -> Image:
        image = self._real.images[index]
        cells = _rounded(area_mean(image, CELLS, square_enlarged(self._box, image.shape)))
        return cells.repeat(BLOCK_PX, axis=0).repeat(BLOCK_PX, axis=1)


class _GivenBoxes:
    """One box a frame, of frames whose ``seq`` is their place in the clip; a single box holds for all.

    Only the first frame is one at which the face ``moved``: a box that jumps a little later is still the same place.
    """

    detections = 0

    def __init__(self, boxes: Sequence[Box]) -> None:
        self._boxes = boxes

    def pace(self, look_every_s: float) -> None:
        """The box is given: nothing is looked for."""

    def step(self, frame: Frame) -> tuple[FaceTrack, ...]:
        """The face at this frame."""
        box = self._boxes[min(frame.seq, len(self._boxes) - 1)]
        return (FaceTrack(0, box, moved=frame.seq == 0, seen_ns=frame.pts_ns, score=1.0),)


_BLOCKS = Box(CELLS * BLOCK_PX / 6.0, CELLS * BLOCK_PX / 6.0, CELLS * BLOCK_PX / 1.5, CELLS * BLOCK_PX / 1.5)
"""The face box whose enlarged square is the whole picture of ``cells``."""


def _box(face: Box, case: PerturbedCase) -> Box:
    (x, y), side = face.centre, case.scale * max(face.w, face.h)
    return _moved(Box(x - 0.5 * side, y - 0.5 * side, side, side), np.array(case.offset))


def _moved(box: Box, shift: Floats) -> Box:
    """``box`` by ``shift`` ``[2]`` of its sides to the right and down."""
    return Box(box.x + float(shift[0]) * box.w, box.y + float(shift[1]) * box.h, box.w, box.h)


def _shifted(image: npt.NDArray[np.float32], shift_px: Floats) -> npt.NDArray[np.float32]:
    """``image`` moved right and down; its border is repeated where nothing was seen."""
    matrix = np.array([[1.0, 0.0, shift_px[0]], [0.0, 1.0, shift_px[1]]])
    size = image.shape[1], image.shape[0]
    return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _rounded(values: npt.NDArray[np.float32]) -> Image:
    return np.asarray(np.rint(values).clip(0.0, 255.0), np.uint8)
