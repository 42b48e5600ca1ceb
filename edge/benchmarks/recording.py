"""What recording costs: bytes an hour, and processor time a frame on the run's thread and on the recording's own.

Run it with ``python -m edge.benchmarks.recording [VIDEO ...]``; videos are measured beside the synthetic scenes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from edge.benchmarks.machine import machine
from edge.cameras import camera_from_uri
from edge.clips.crop import Box, square_enlarged
from edge.faces import detector_by_name
from edge.frames import Frame, FrameKind
from edge.recording.crops import crops_of
from edge.recording.messages import FACES, THERMAL, TOPICS, Crop, Sighting, bytes_from_message, crop_of, head_of
from edge.recording.writer import McapFile

SCENES: dict[str, tuple[str, FrameKind]] = {
    "scene 1280x720 MJPEG": ("synthetic:?seconds=3&width=1280&height=720&codec=mjpeg", "rgb"),
    "scene 1280x720 raw": ("synthetic:?seconds=3&width=1280&height=720", "rgb"),
    "scene 640x480 raw": ("synthetic:?seconds=3", "rgb"),
    "scene thermal 160x120": ("synthetic:?seconds=12", "thermal"),
}
FRAMES = 90

Pixels = npt.NDArray[Any]
T = TypeVar("T")


def frames_of(uri: str, kind: FrameKind) -> list[Frame]:
    """The first frames of a camera."""
    camera = camera_from_uri(uri, kind)
    camera.open()
    found = list(islice(iter(camera.read, None), FRAMES))
    camera.close()
    return found


def crop_around_face(frame: Frame) -> Crop:
    """What is kept of a picture: the enlarged face, or all of it where there is none."""
    found = detector_by_name("haar").detect(frame.image.astype(np.uint8, copy=False))
    box = found[0].box if found else Box(0.0, 0.0, frame.image.shape[1], frame.image.shape[0])
    return crops_of([square_enlarged(box, frame.image.shape)], frame.image.shape)[0]


def row(name: str, frames: list[Frame], folder: Path) -> tuple[str, ...]:
    """A line of the table: median of copying, mean of packing, which happens in chunks, and PNG of the same pixels."""
    crop = crop_around_face(frames[0]) if frames[0].kind == "rgb" else None
    parts, copying = zip(*(timed_ms(partial(part_of, frame, crop)) for frame in frames), strict=True)
    file = McapFile(folder / f"{name}.mcap", TOPICS)
    file.open()
    packing = [timed_ms(partial(write, file, f, p, crop))[1] for f, p in zip(frames, parts, strict=True)]
    file.close()
    pngs, png_ms = zip(*(timed_ms(partial(png_bytes, p)) for p in parts[:20]), strict=True)
    size, raw = file.path.stat().st_size, sum(part.nbytes for part in parts)
    seconds = (frames[-1].pts_ns - frames[0].pts_ns) / 1e9 * len(frames) / (len(frames) - 1)
    figures = (
        size / seconds * 3600.0 / 1e9, raw / size, np.median(copying), np.mean(packing),
        20 * parts[0].nbytes / sum(pngs), np.median(png_ms),
    )  # fmt: skip
    return (name, f"{parts[0].shape[1]}x{parts[0].shape[0]}", *(f"{figure:.2f}" for figure in figures))


def timed_ms(call: Callable[[], T]) -> tuple[T, float]:
    """What a call gives, and its processor time."""
    start_ns = time.thread_time_ns()
    given = call()
    return given, (time.thread_time_ns() - start_ns) / 1e6


def part_of(frame: Frame, crop: Crop | None) -> Pixels:
    """What is kept of a frame."""
    return frame.image if crop is None else crop_of(frame.image, crop)


def write(file: McapFile, frame: Frame, part: Pixels, crop: Crop | None) -> None:
    """As the recorder's thread does."""
    if crop is None:
        topic, data = THERMAL, bytes_from_message(head_of(frame, pixels=True), (part,))
    else:
        sighting = Sighting(pts_ns=frame.pts_ns, detections=0, tracks=(), crops=(crop,))
        topic, data = FACES, bytes_from_message(sighting, (part,))
    file.write(topic, data, frame.pts_ns, frame.pts_ns, 0.0)


def png_bytes(part: Pixels) -> int:
    """Size of the same pixels as the fastest PNG."""
    return len(cv2.imencode(".png", part, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def main(videos: list[str]) -> None:
    """Print the table."""
    cv2.setNumThreads(1)
    columns = ("source", "kept", "GB/hour", "raw/file", "run: ms", "recording: ms", "PNG: raw/file", "PNG: ms")
    table = Table(*columns, title="Recording, lossless; CPU ms per frame")
    sources: dict[str, tuple[str, FrameKind]] = {Path(path).name: (f"video:{path}", "rgb") for path in videos}
    with tempfile.TemporaryDirectory() as folder:
        for name, (uri, kind) in {**SCENES, **sources}.items():
            table.add_row(*row(name, frames_of(uri, kind), Path(folder)))
    console = Console()
    console.print(table)
    console.print(machine())


if __name__ == "__main__":
    main(sys.argv[1:])
