"""A painted face with a known pulse and breath, a detector that knows where it is, and a model one can predict."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bundle import Bundle, load_bundle
from edge.clips.crop import Box
from edge.errors import FaultError
from edge.faces import Detection
from edge.faces.track import FaceTracker, TrackerConfig
from edge.frames import Frame
from edge.pipeline import Options, Output, Pipeline
from edge.rig import IDENTITY, Rig
from edge.vitals import Vitals

S = 1_000_000_000
FACE = Box(20.0, 20.0, 80.0, 80.0)
HR_PER_MIN = 72.0


def bundle_like(**changes: Any) -> Bundle:
    """The default bundle with another manifest; its graphs do not fit then, and :class:`GreenRuntime` needs none."""
    bundle = load_bundle(None)
    return dataclasses.replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, **changes))


class KnownFace:
    """A detector that always sees one face at ``place``, or none while ``away``."""

    away = False
    place = FACE

    def detect(self, rgb: npt.NDArray[np.uint8]) -> list[Detection]:
        return [] if self.away or not rgb.any() else [Detection(self.place, 10.0)]


class GreenRuntime:
    """Gives the mean of green, or of thermal where there is no RGB, as BVP and of the last channel as RSP.

    Fails on demand.
    """

    name = "green"
    graph = load_bundle(None).graph("exact", "onnxrt")
    broken = False
    windows = 0

    def infer(self, frames: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        if self.broken:
            raise FaultError("engine gone")
        self.windows += 1
        mean = frames.mean(axis=(3, 4))
        return {"bvp": -mean[:, min(1, mean.shape[1] - 1), 1:], "rsp": mean[:, -1, 1:]}

    def close(self) -> None: ...


def rgb_at(t_s: float, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A textured patch whose colour follows a pulse, green most, here more and there less, as on a face; 140x140."""
    place = 1.0 + 0.7 * np.sin(np.arange(140) / 9.0)[:, None, None]
    pulse = place * np.sin(2 * np.pi * HR_PER_MIN / 60 * t_s) * np.array([0.3, 1.0, 0.6]) * 0.01
    texture = 1.0 + 0.1 * np.sin(np.arange(140) / 9.0)[:, None, None] * np.cos(np.arange(140) / 7.0)[None, :, None]
    image = texture * np.array([150.0, 110.0, 95.0]) * (1.0 - pulse) + rng.normal(0, 1.5, (140, 140, 3))
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)


def rgb_frames(seconds: float, fps: float = 30.0, start_s: float = 0.0, seed: int = 1) -> Iterator[Frame]:
    rng = np.random.default_rng(seed)
    for k in range(round(seconds * fps)):
        t_s = start_s + k / fps
        yield Frame(rgb_at(t_s, rng), round(t_s * S), "media", k, "rgb")


def thermal_frames(
    seconds: float, fps: float = 8.7, rr_per_min: float = 15.0, *, wall_degc: float = 34.0, pulse_degc: float = 0.0
) -> Iterator[Frame]:
    """A face at 34 degC, whose nostrils breathe, before a wall; 120x120."""
    for k in range(round(seconds * fps)):
        t_s = 0.02 + k / fps
        image = np.full((120, 120), wall_degc, np.float32)
        image[24:100, 24:100] = 34.0 + pulse_degc * np.sin(2 * np.pi * HR_PER_MIN / 60 * t_s)
        image[64:76, 54:66] += 0.5 * np.sin(2 * np.pi * rr_per_min / 60 * t_s)
        yield Frame(image, round(t_s * S), "media", k, "thermal")


class Bench:
    """A pipeline and the parts that a test turns."""

    def __init__(
        self,
        *,
        thermal: bool = False,
        hop_s: float = 1.0,
        bundle: Bundle | None = None,
        rig: Rig = IDENTITY,
        looks: TrackerConfig | None = None,
    ) -> None:
        self.face, self.runtime = KnownFace(), GreenRuntime()
        options = Options("bed-1", thermal, hop_s=hop_s, rig=rig)
        self.pipeline = Pipeline(bundle or load_bundle(None), self.runtime, FaceTracker(self.face, looks), options)
        self.outputs: list[Output] = []

    def feed(self, frames: Iterable[Frame]) -> Bench:
        for frame in frames:
            self.outputs += self.pipeline.push(frame)
        return self

    def finish(self) -> list[Vitals]:
        self.outputs += self.pipeline.finish()
        return self.vitals

    @property
    def vitals(self) -> list[Vitals]:
        return [output for output in self.outputs if isinstance(output, Vitals)]
