"""A run that lasts: does it grow, and how old is what it says? ``python -m edge.benchmarks.soak [--minutes 20]``.

The program itself (:func:`edge.app.run_kit`) runs in real time on two live cameras, 720p MJPEG at 30 and thermal at
8.7 frames a second, drawn beforehand, with a console and a file for sinks, which go nowhere. Every five seconds this
process is looked at from outside the run: memory, threads, descriptors, processor time, queues. After a tenth of the
time, in which caches and arenas fill, what it holds must stay what it is.

The age of a message is the time from the newest frame that a numerics record has seen, taken when the camera took it,
to the moment at which the file has the line. What the model needs besides, its window, is not in it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from edge.app import Run, run_kit
from edge.benchmarks import live_scene
from edge.benchmarks.machine import machine
from edge.config import Kit
from edge.sinks import SCHEMES as SINKS
from edge.sinks import Sink, SinkContext
from edge.sinks.jsonl import JsonlSink
from edge.sinks.records import Health, Numerics, Record
from edge.uri import Uri
from edge.vitals import Mode

__all__ = ["KIND", "Limits", "Result", "Sample", "from_uri", "main", "soak"]

T = TypeVar("T", int, float)
KIND = "soak"
SCHEME = "heard"
SCENE = "again:?seconds={seconds:g}&width=1280&height=720&hr=72&rr=15&seed=1&quality=92"
DRAWN_S = 20.03
"""601 frames at 30 and 175 at 8.7 a second: both cameras turn round every 20 s, at the same moments."""
EVERY_S = 5.0
WARM_UP_SHARE = 0.1


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the process held: ``waiting`` is how full the fullest queue was (0..1), ``cpu_s`` spent since the start."""

    s: float
    rss_mb: float
    threads: int
    fds: int
    waiting: float
    cpu_s: float


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What counts as flat: memory may grow so much an hour, threads and descriptors not at all."""

    rss_mb_per_h: float = 6.0


class AgeMs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the newest frame behind the records, when they were written."""

    records: int
    median: float
    p99: float
    most: float


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``rss_mb_per_h`` is a robust slope after the warm-up; ``states`` count HR states of the records."""

    kind: str
    machine: str
    minutes: float
    mode: Mode
    niceness: int
    jpeg_kb: float
    rss_mb_per_h: float
    rss_mb: tuple[float, float]
    threads: tuple[int, int]
    fds: tuple[int, int]
    cpu_share: float
    waiting_most: float
    age_ms: AgeMs
    frames: dict[str, int]
    dropped: dict[str, int]
    states: dict[str, int]
    modes: dict[str, int]
    failures: list[str]
    limits: Limits
    samples: list[Sample]


@dataclass(slots=True)
class Heard:
    """What came out of a run, told by its sink."""

    ages_ms: list[float] = field(default_factory=list)
    states: dict[str, int] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        """One record, which has just been written."""
        if isinstance(record, Numerics):
            self.ages_ms.append((time.monotonic_ns() - live_scene.newest_ns(record.pts_ns)) / 1e6)
            self.states[record.hr.state] = self.states.get(record.hr.state, 0) + 1
            self.modes[record.mode] = self.modes.get(record.mode, 0) + 1
        elif isinstance(record, Health):
            self.frames = {str(kind): count for kind, count in record.frames.items()}
            self.dropped = {str(kind): count for kind, count in record.dropped.items()} | dict(record.sink_dropped)


class HeardSink(JsonlSink):
    """The JSON-lines sink, overheard."""

    heard = Heard()

    def write(self, record: Record, pts_ns: int) -> None:
        """As the other, then listen."""
        super().write(record, pts_ns)
        self.heard.take(record)


def from_uri(uri: Uri, context: SinkContext) -> Sink:  # noqa: ARG001 - the table's signature
    """The sink for ``heard:PATH``; it begins to listen anew."""
    HeardSink.heard = Heard()
    return HeardSink(uri.target)


class Looker(threading.Thread):
    """Samples the process every :data:`EVERY_S` until ``over`` is set."""

    def __init__(self, over: threading.Event, run: Run) -> None:
        super().__init__(name="soak", daemon=True)
        self._over, self._run = over, run
        self._start_s, self._cpu_s = time.monotonic(), time.process_time()
        self.samples: list[Sample] = []

    def run(self) -> None:
        """Thread body."""
        while not self._over.wait(EVERY_S):
            self.samples.append(self._sample())

    def _sample(self) -> Sample:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return Sample(
            s=round(time.monotonic() - self._start_s, 2),
            rss_mb=round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 2),
            threads=sum(1 for _ in Path("/proc/self/task").iterdir()),
            fds=sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1,  # less the one that reads this
            waiting=round(max(self._run.waiting.values()), 3),
            cpu_s=round(time.process_time() - self._cpu_s, 2),
        )


def slope_per_h(samples: Sequence[Sample]) -> float:
    """MB an hour: the median of the slopes between samples half the time apart (Theil 1950), which no step decides."""
    half = len(samples) // 2
    pairs = zip(samples, samples[half:], strict=False)
    return float(np.median([(late.rss_mb - early.rss_mb) / (late.s - early.s) for early, late in pairs])) * 3600.0


def failures_of(samples: Sequence[Sample], limits: Limits) -> list[str]:
    """What grew after the warm-up, in words; nothing when all stayed."""
    first, last = samples[0], samples[-1]
    slope = slope_per_h(samples)
    found = {
        f"memory grows by {slope:.1f} MB/h, wanted at most {limits.rss_mb_per_h:g}": slope > limits.rss_mb_per_h,
        f"threads grew from {first.threads} to {last.threads}": last.threads > first.threads,
        f"descriptors grew from {first.fds} to {last.fds}": last.fds > first.fds,
    }
    return [words for words, holds in found.items() if holds]


def soak(minutes: float, mode: Mode) -> Result:
    """Run for so long; the result of it."""
    uri = SCENE.format(seconds=DRAWN_S)
    live_scene.install()
    SINKS[SCHEME] = __name__
    kit = Kit(rgb=uri, thermal=uri, sinks=(f"{SCHEME}:{os.devnull}", "console:"), mode=mode, seconds=60.0 * minutes)
    over, lookers = threading.Event(), list[Looker]()

    def begun(run: Run) -> None:
        lookers.append(Looker(over, run))
        lookers[0].start()

    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        run_kit(kit, check=False, as_json=False, stop=threading.Event(), begun=begun)
    over.set()
    return result_of(minutes, mode, lookers[0].samples, HeardSink.heard)


def result_of(minutes: float, mode: Mode, samples: list[Sample], heard: Heard) -> Result:
    """What was seen and heard."""
    limits, settled = Limits(), [sample for sample in samples if sample.s >= WARM_UP_SHARE * 60.0 * minutes]
    ages = np.array(heard.ages_ms)
    median, p99, most = np.quantile(ages, (0.5, 0.99, 1.0)).round(1).tolist()
    return Result(
        kind=KIND,
        machine=machine(),
        minutes=minutes,
        mode=mode,
        niceness=os.nice(0),
        jpeg_kb=live_scene.jpeg_kb(),
        rss_mb_per_h=round(slope_per_h(settled), 2),
        rss_mb=_span([sample.rss_mb for sample in settled]),
        threads=_span([sample.threads for sample in settled]),
        fds=_span([sample.fds for sample in settled]),
        cpu_share=round(samples[-1].cpu_s / samples[-1].s, 3),
        waiting_most=max(sample.waiting for sample in samples),
        age_ms=AgeMs(len(ages), median, p99, most),
        frames=heard.frames,
        dropped=heard.dropped,
        states=heard.states,
        modes=heard.modes,
        failures=failures_of(settled, limits),
        limits=limits,
        samples=samples,
    )


def _span(values: list[T]) -> tuple[T, T]:
    return min(values), max(values)


def table_of(result: Result) -> Table:
    """The result in words."""
    title = f"{result.minutes:g} minutes, mode {result.mode}, niceness {result.niceness}"
    table, ages = Table("what", "seen", title=title), result.age_ms
    rows = {
        "memory": f"{result.rss_mb[0]:.1f} to {result.rss_mb[1]:.1f} MB, {result.rss_mb_per_h:+.2f} MB/h",
        "threads": "{} to {}".format(*result.threads),
        "descriptors": "{} to {}".format(*result.fds),
        "fullest queue": f"{100 * result.waiting_most:.0f} %",
        "processor": f"{100 * result.cpu_share:.0f} % of a core",
        "age of messages": f"median {ages.median} ms, p99 {ages.p99} ms, most {ages.most} ms",
        "frames": f"{result.frames}, dropped {result.dropped}",
        "HR states": str(result.states),
        "modes": str(result.modes),
        "verdict": "; ".join(result.failures) or "flat",
    }
    for what, seen in rows.items():
        table.add_row(what, seen)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print and save; 1 when something grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--mode", choices=["exact", "stream"], default="stream")
    parser.add_argument("--out", type=Path, help="Where the result goes as JSON.")
    given = parser.parse_args(arguments)
    result = soak(given.minutes, given.mode)
    Console(width=120).print(table_of(result), result.machine)
    if given.out:
        given.out.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    return int(bool(result.failures))


if __name__ == "__main__":
    raise SystemExit(main())
