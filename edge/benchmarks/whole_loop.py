"""What a frame costs from the camera's bytes to the record's line, by stage, in modes ``stream`` and ``exact``.

    python -m edge.benchmarks.whole_loop [VIDEO ...] [--seconds 60] [--out RESULT.json]

On the synthetic scene: 720p MJPEG at 30 frames a second, decoded as the driver for UVC cameras does, and thermal at
8.7; with videos, on these too. Each is played there and back again, so that it lasts and nothing jumps. Both modes get
every frame in turn, decoded once; frames count from when the stream is believed, as the loop of a bed runs for hours.
Faces are looked for once a second, by the default detector and in the frames' own time; records go to the console and
to a file, which lead nowhere.

One core, one thread; figures are its processor time (not wall time, which others on the machine would change): the
medians of blocks of five seconds. ``all threads`` is the processor time of the whole process over that.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from edge.benchmarks.live_scene import Drawn, drawn, there_and_back
from edge.benchmarks.machine import machine
from edge.benchmarks.mjpeg import decoder, rgb_from_jpeg
from edge.benchmarks.stages import REST, STAGES, StageClock, timed_stages
from edge.bundle import Bundle, load_bundle
from edge.cameras import camera_from_uri
from edge.cameras.synthetic import SyntheticCamera
from edge.errors import EvidenceError
from edge.faces import detector_by_name
from edge.faces.track import FaceTracker
from edge.frames import Frame, FrameKind
from edge.person import Person
from edge.pipeline import Options, Pipeline
from edge.publish import Publisher
from edge.runtimes.onnxrt import open_runtime
from edge.runtimes.onnxrt_stream import open_stream
from edge.sinks import SinkContext
from edge.sinks.console import ConsoleSink
from edge.sinks.factory import RecordFactory
from edge.sinks.jsonl import JsonlSink
from edge.vitals import Mode, Vitals

__all__ = ["KIND", "Result", "Row", "main", "measured"]

KIND = "whole loop"
SCENE = "synthetic:?seconds=20.03&width=1280&height=720&hr=72&rr=15&seed=1&quality=92"
BLOCK_S = 5.0
WARM_UP_S = 30.0
"""A stream is believed after 27 s."""
_MODES: tuple[Mode, ...] = ("stream", "exact")
SHOWN = ("decode", *STAGES, "publish", REST)


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One source in one mode: milliseconds a frame by stage and together, and what that makes."""

    source: str
    mode: Mode
    frames: int
    stage_ms: dict[str, float]
    frame_ms: float
    fps: float
    model_share: float
    all_threads: float


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``picture_kb``: mean size of the coded pictures by source."""

    kind: str
    machine: str
    picture_kb: dict[str, float]
    rows: list[Row]


class Loop:
    """The program's loop in one mode, on one thread."""

    def __init__(self, bundle: Bundle, mode: Mode, *, thermal: bool) -> None:
        runtime = open_runtime(bundle, "exact", "auto")
        person = partial(Person, stream=open_stream(bundle)[0]) if mode == "stream" else Person
        options = Options("main", thermal=thermal)
        self._pipeline = Pipeline(bundle, runtime, FaceTracker(detector_by_name("haar")), options, person)
        self._publisher = Publisher(RecordFactory("bench"), lambda: self._pipeline.counts, dict)
        nowhere = Console(file=Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - as long as the process
        self._sinks = JsonlSink(os.devnull), ConsoleSink(SinkContext("bench"), nowhere)
        for sink in self._sinks:
            sink.open()
        self.clock = StageClock()
        self.mode: Mode = "exact"

    def push(self, frame: Frame) -> None:
        """One frame, with all that becomes due by it."""
        with self.clock.running():
            for output in self._pipeline.push(frame):
                if isinstance(output, Vitals):
                    self.mode = output.mode
                with self.clock.on("publish"):
                    for record, pts_ns in self._publisher.records(output):
                        for sink in self._sinks:
                            sink.write(record, pts_ns)


@dataclass(slots=True)
class Blocks:
    """Milliseconds a frame by stage, of each block."""

    blocks: list[dict[str, float]] = field(default_factory=list)

    def add(self, spent_s: dict[str, float], frames: int) -> None:
        """What a block of so many RGB frames took."""
        self.blocks.append({stage: 1e3 * s / frames for stage, s in spent_s.items()})

    def medians(self) -> dict[str, float]:
        """Of every stage."""
        return {
            stage: round(float(np.median([block.get(stage, 0.0) for block in self.blocks])), 4)
            for stage in SHOWN
            if any(stage in block for block in self.blocks)
        }

    def whole_ms(self) -> float:
        """The median block, all stages together."""
        return float(np.median([sum(block.values()) for block in self.blocks]))


class Threads:
    """Processor time of the whole process over that of this thread, since it was made."""

    def __init__(self) -> None:
        self._all_s, self._this_s = time.process_time(), time.thread_time()

    @property
    def all_over_this(self) -> float:
        """1 where no other thread worked."""
        return (time.process_time() - self._all_s) / (time.thread_time() - self._this_s)


@dataclass(frozen=True, slots=True)
class Source:
    """What is played: ``feed`` gives frames for so many seconds."""

    name: str
    fps: float
    thermal: bool
    picture_kb: float
    feed: Callable[[float], Iterator[Callable[[], Frame]]]


def scene() -> Source:
    """The synthetic scene, drawn and compressed."""
    rgb, thermal = (_drawn(kind) for kind in ("rgb", "thermal"))
    kb = float(np.mean([len(jpeg) for jpeg in rgb.frames if isinstance(jpeg, bytes)])) / 1e3
    feed = partial(_scene_feed, rgb, thermal)
    return Source("720p MJPEG and thermal", rgb.fps, thermal=True, picture_kb=round(kb, 1), feed=feed)


def _drawn(kind: FrameKind) -> Drawn:
    camera = camera_from_uri(SCENE, kind)
    assert isinstance(camera, SyntheticCamera)
    return drawn(camera)


def _scene_feed(rgb: Drawn, thermal: Drawn, seconds: float) -> Iterator[Callable[[], Frame]]:
    """RGB decoded when asked for, and thermal, in the order of their stamps."""
    mjpeg = decoder()

    def picture(k: int, pts_ns: int) -> Frame:
        jpeg = rgb.frames[there_and_back(k, len(rgb.frames))]
        assert isinstance(jpeg, bytes)
        return Frame(rgb_from_jpeg(mjpeg, jpeg), pts_ns, "media", k, "rgb")

    def heat(k: int, pts_ns: int) -> Frame:
        frame = thermal.frames[there_and_back(k, len(thermal.frames))]
        assert isinstance(frame, Frame)
        return replace(frame, pts_ns=pts_ns, seq=k)

    stamped = [(round(k * 1e9 / rgb.fps), picture, k) for k in range(round(seconds * rgb.fps))]
    stamped += [(round(k * 1e9 / thermal.fps) + 13_000_000, heat, k) for k in range(round(seconds * thermal.fps))]
    for pts_ns, frame, k in sorted(stamped, key=lambda one: one[0]):
        yield partial(frame, k, pts_ns)


def video(path: Path) -> Source:
    """A video, RGB only: decoded in its order as often as frames are wanted, shown there and back again."""
    camera = camera_from_uri(f"video:{path}", "rgb")
    camera.open()
    frames = list(iter(camera.read, None))
    camera.close()
    fps = 1e9 * (len(frames) - 1) / (frames[-1].pts_ns - frames[0].pts_ns)
    kb = path.stat().st_size / len(frames) / 1e3
    feed = partial(_video_feed, path, frames, fps)
    return Source(path.name, fps, thermal=False, picture_kb=round(kb, 1), feed=feed)


def _video_feed(path: Path, frames: list[Frame], fps: float, seconds: float) -> Iterator[Callable[[], Frame]]:
    camera = camera_from_uri(f"video:{path}", "rgb")
    camera.open()

    def decoded(k: int) -> Frame:
        if camera.read() is None:
            camera.open()
        return replace(frames[there_and_back(k, len(frames))], pts_ns=round(k * 1e9 / fps), seq=k)

    for k in range(round(seconds * fps)):
        yield partial(decoded, k)
    camera.close()


def measured(source: Source, seconds: float) -> list[Row]:
    """Play a source until ``seconds`` of it count; EvidenceError when no stream is believed."""
    bundle, decode = load_bundle(None), StageClock()
    loops: dict[Mode, Loop] = {mode: Loop(bundle, mode, thermal=source.thermal) for mode in _MODES}
    blocks = {mode: Blocks() for mode in loops}
    clocks, taken = Threads(), 0
    for turn, get in enumerate(track(list(source.feed(WARM_UP_S + seconds)), source.name, transient=True)):
        with decode.running(), decode.on("decode"):
            frame = get()
        for mode in _MODES[:: 1 if turn % 2 else -1]:  # who comes first finds the picture in the cache
            loops[mode].push(frame)
        taken += frame.kind == "rgb"
        if taken == round(BLOCK_S * source.fps):
            decoded, taken = decode.take(), 0
            for mode, loop in loops.items():
                if loops["stream"].mode == "stream":
                    blocks[mode].add(decoded | loop.clock.take(), round(BLOCK_S * source.fps))
                else:
                    loop.clock.take()
            clocks = clocks if blocks["stream"].blocks else Threads()
    if not blocks["stream"].blocks:
        raise EvidenceError(f"{source.name}: no stream was believed in {WARM_UP_S + seconds:g} s; give more --seconds")
    return [_row(source, mode, blocks[mode], clocks.all_over_this) for mode in _MODES]


def _row(source: Source, mode: Mode, blocks: Blocks, all_threads: float) -> Row:
    stages, whole = blocks.medians(), blocks.whole_ms()
    return Row(
        source=source.name,
        mode=mode,
        frames=len(blocks.blocks) * round(BLOCK_S * source.fps),
        stage_ms=stages,
        frame_ms=round(whole, 3),
        fps=round(1e3 / whole, 1),
        model_share=round(stages["model"] / whole, 4),
        all_threads=round(all_threads, 3),
    )


def table_of(rows: Sequence[Row]) -> Table:
    """Milliseconds a frame."""
    table = Table("source", "mode", *SHOWN, "together", "model", "frames/s", title="processor ms a frame, one core")
    for row in rows:
        stages = (f"{row.stage_ms.get(stage, 0.0):.3f}" for stage in SHOWN)
        name = f"{row.source}, {row.frames} frames"
        table.add_row(
            name, row.mode, *stages, f"{row.frame_ms:.2f}", f"{100 * row.model_share:.1f} %", f"{row.fps:.0f}"
        )
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="Seconds of each source that count.")
    parser.add_argument("--out", type=Path, help="Where the result goes as JSON.")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sources = [scene(), *map(video, given.videos)]
    with timed_stages():
        rows = [row for source in sources for row in measured(source, given.seconds)]
    Console(width=170).print(table_of(rows), machine())
    if given.out:
        result = Result(KIND, machine(), {source.name: source.picture_kb for source in sources}, rows)
        given.out.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")


if __name__ == "__main__":
    main()
