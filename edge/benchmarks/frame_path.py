"""What each stage between camera and model costs per call, on synthetic 720p frames.

Run it with ``python -m edge.benchmarks.frame_path``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from edge.benchmarks.machine import machine
from edge.cameras import camera_from_uri
from edge.clips.crop import model_cells, square_enlarged
from edge.clips.grid import GridClock, PairGrid
from edge.clips.pairing import Pairer
from edge.clips.ring import FrameRing
from edge.errors import EvidenceError
from edge.faces import detector_by_name
from edge.faces.motion import MotionMeter
from edge.frames import Frame

SCENE = "synthetic:?seconds=1&width=1280&height=720"
FPS = 30.0
FRAMES = 181
CALLS = 300


def cpu_ms(call: Callable[[int], object], calls: int = CALLS) -> tuple[float, float]:
    """Median and 95th percentile of the processor time of ``call(k)`` in ms, after a tenth of the calls as warm-up."""
    times_ns = []
    for k in range(calls + calls // 10):
        start_ns = time.thread_time_ns()
        call(k)
        times_ns.append(time.thread_time_ns() - start_ns)
    median, p95 = np.quantile(times_ns[calls // 10 :], (0.5, 0.95))
    return float(median) * 1e-6, float(p95) * 1e-6


def scene_frames() -> list[Frame]:
    """One second of the synthetic scene at 720p."""
    camera = camera_from_uri(SCENE, "rgb")
    camera.open()
    frames = []
    while (frame := camera.read()) is not None:
        frames.append(frame)
    camera.close()
    return frames


def stages(frames: list[Frame]) -> dict[str, Callable[[int], object]]:
    """Name of each stage and a call ``k`` of it."""
    detector, meter = detector_by_name("haar"), MotionMeter()
    found = detector.detect(frames[0].image.astype(np.uint8, copy=False))
    if not found:
        raise EvidenceError(f"no face found in {SCENE}, wanted one to time the stages on; check the detector")
    face = found[0].box
    box = square_enlarged(face, frames[0].image.shape)
    cells, thermal = np.zeros((3, 9, 9), np.float32), np.zeros((1, 9, 9), np.float32)
    grid, pairer = PairGrid(GridClock(0, FPS), thermal=True), Pairer(75_000_000, thermal=True)
    ring = FrameRing(4, FRAMES, 72)
    heat = [np.full((120, 160), degc, np.uint16) for degc in (30, 31)]

    def pts_ns(k: int) -> int:
        return round(k * 1e9 / FPS)

    def pair(k: int) -> None:
        pairer.push(Frame(frames[0].image, pts_ns(k), "media", k, "rgb"))
        pairer.push(Frame(heat[k % 2], pts_ns(k) + 5_000_000, "media", k, "thermal"))

    def add(k: int) -> None:
        ring.append(np.zeros((4, 72, 72), np.float32), pts_ns(k))
        ring.window()

    def image(k: int) -> Frame:
        return frames[k % len(frames)]

    return {
        "detect (Haar, 320 px)": lambda k: detector.detect(image(k).image.astype(np.uint8, copy=False)),
        f"motion (face {face.w:.0f} px)": lambda k: meter.step(image(k).image.astype(np.uint8, copy=False), face),
        f"crop {box.w:.0f} px to 9x9": lambda k: model_cells(image(k), box, 9),
        f"crop {box.w:.0f} px to 36x36": lambda k: model_cells(image(k), box, 36),
        f"crop {box.w:.0f} px to 72x72": lambda k: model_cells(image(k), box, 72),
        "pair": pair,
        "grid 9x9, RGB + thermal": lambda k: grid.push(pts_ns(k), cells, (pts_ns(k), thermal)),
        "ring 72x72, append + window": add,
    }


def main() -> None:
    """Time every stage and print a table; OpenCV and the table use one thread."""
    cv2.setNumThreads(1)
    table = Table("stage", "CPU ms, median", "CPU ms, p95", title="Frame path, per call, one thread")
    for name, call in stages(scene_frames()).items():
        median, p95 = cpu_ms(call, 30 if name.startswith("detect") else CALLS)
        table.add_row(name, f"{median:.3f}", f"{p95:.3f}")
    console = Console()
    console.print(table)
    console.print(machine())


if __name__ == "__main__":
    main()
