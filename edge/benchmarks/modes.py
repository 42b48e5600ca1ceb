"""What a frame costs in mode ``exact`` and in mode ``stream``, from MJPEG bytes to vitals, and the model's share of it.

Run it with ``python -m edge.benchmarks.modes [SECONDS]``. A 720p scene is drawn and compressed first, which is not
timed. Then every frame is decoded once and pushed through both pipelines in turn, so both meet the same machine; what
counts are the frames after the stream is believed (about 27 s), which the loop of a bed sees for hours. Detection at
1 Hz is counted in. Processor time of one thread.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from edge.benchmarks.machine import machine
from edge.bundle import Bundle, load_bundle
from edge.cameras import camera_from_uri
from edge.errors import EvidenceError
from edge.faces import Detection, Detector, detector_by_name
from edge.faces.track import FaceTracker
from edge.frames import Frame
from edge.person import Person
from edge.pipeline import Options, Pipeline
from edge.runtimes import Runtime
from edge.runtimes.onnxrt import open_runtime
from edge.runtimes.onnxrt_stream import StreamSession, open_stream
from edge.vitals import Mode, Vitals

SECONDS = 40.0
SCENE = "synthetic:?seconds={seconds:g}&width=1280&height=720&hr=72"
QUALITY = 90


@dataclass(slots=True)
class Spent:
    """Processor seconds by part of one pipeline since the last :meth:`clear`."""

    parts: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def on(self, part: str) -> Iterator[None]:
        """What runs inside counts for ``part``."""
        start = time.thread_time()
        yield
        self.parts[part] = self.parts.get(part, 0.0) + time.thread_time() - start

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """``call``, counted."""

        def counted(*arguments: Any) -> Any:
            with self.on(part):
                return call(*arguments)

        return counted


class _Look:
    """A detector whose time is counted."""

    def __init__(self, detector: Detector, spent: Spent) -> None:
        self._detect = spent.timed("detection", detector.detect)

    def detect(self, rgb: npt.NDArray[np.uint8]) -> list[Detection]:
        found: list[Detection] = self._detect(rgb)
        return found


class Loop:
    """A pipeline in one mode, and what it spends."""

    def __init__(self, bundle: Bundle, mode: Mode) -> None:
        self.spent = Spent()
        runtime: Runtime = open_runtime(bundle, "exact", "auto")
        runtime.infer = self.spent.timed("model", runtime.infer)  # type: ignore[method-assign]
        tracker = FaceTracker(_Look(detector_by_name("haar"), self.spent))
        person = partial(Person, stream=self._engine(bundle)) if mode == "stream" else Person
        self._pipeline = Pipeline(bundle, runtime, tracker, Options("main", thermal=False), person)
        self.mode: Mode = "exact"

    def _engine(self, bundle: Bundle) -> StreamSession:
        session, _ = open_stream(bundle)
        session.step = self.spent.timed("model", session.step)  # type: ignore[method-assign]
        return session

    def push(self, frame: Frame) -> None:
        """One frame, with all that becomes due by it."""
        with self.spent.on("all"):
            for output in self._pipeline.push(frame):
                self.mode = output.mode if isinstance(output, Vitals) else self.mode


def compressed(seconds: float) -> list[tuple[int, bytes]]:
    """Stamps and JPEG bytes of the scene's frames."""
    camera = camera_from_uri(SCENE.format(seconds=seconds), "rgb")
    camera.open()
    found = []
    for _ in track(range(round(seconds * 30)), "drawing", transient=True):
        frame = camera.read()
        if frame is None:
            break
        done, data = cv2.imencode(".jpg", frame.image[..., ::-1].astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if done:
            found.append((frame.pts_ns, data.tobytes()))
    camera.close()
    return found


def measured(frames: list[tuple[int, bytes]], loops: dict[Mode, Loop]) -> tuple[int, Spent]:
    """Push everything; how many frames counted, and what decoding them took."""
    decode, counted = Spent(), 0
    for seq, (pts_ns, data) in enumerate(track(frames, "running", transient=True)):
        with decode.on("decode"):
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert decoded is not None, "it was compressed here"
            image = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
        for loop in loops.values():
            loop.push(Frame(image.astype(np.uint8, copy=False), pts_ns, "media", seq, "rgb"))
        if loops["stream"].mode == "exact":
            for spent in (decode, *(loop.spent for loop in loops.values())):
                spent.parts.clear()
        else:
            counted += 1
    return counted, decode


def table_of(count: int, decode: Spent, loops: dict[Mode, Loop]) -> Table:
    """Milliseconds a frame by part, and what that makes."""
    parts = ("decode", "detection", "model", "the rest", "together")
    table = Table("mode", *(f"{part}, ms" for part in parts), "model", "frames a second", title=f"{count} frames, 720p")
    for mode, loop in loops.items():
        spent = loop.spent.parts
        named = decode.parts["decode"], spent.get("detection", 0.0), spent.get("model", 0.0)
        rest = spent["all"] - named[1] - named[2]
        whole = named[0] + spent["all"]
        each = (f"{1e3 * value / count:.3f}" for value in (*named, rest, whole))
        table.add_row(mode, *each, f"{100 * named[2] / whole:.1f} %", f"{count / whole:.0f}")
    return table


def main() -> None:
    """Run both modes on one scene and print the table; OpenCV uses one thread."""
    cv2.setNumThreads(1)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    bundle = load_bundle(None)
    loops: dict[Mode, Loop] = {"exact": Loop(bundle, "exact"), "stream": Loop(bundle, "stream")}
    count, decode = measured(compressed(seconds), loops)
    if not count:
        raise EvidenceError(f"{seconds:g} s are too few: no stream was believed; want 30 or more")
    console = Console(width=120)
    console.print(table_of(count, decode, loops))
    console.print(machine())


if __name__ == "__main__":
    main()
