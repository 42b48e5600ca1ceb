"""How exactly beat intervals are timed by the frame rate of the camera, on scenes with known beats.

    python -m edge.benchmarks.beats [--scenes N] [--rates FPS ...]

The region about the face is drawn small, as training has it, and given to grid, network and everything behind. There
is no detector, and no camera is refused as too slow.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import chain

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from edge.benchmarks.machine import machine
from edge.bundle import Bundle, load_bundle
from edge.cameras.scene import Scene, SceneParams
from edge.clips.crop import area_mean
from edge.clips.grid import GridClock, PairGrid
from edge.person import Person
from edge.runtimes import Runtime
from edge.runtimes.onnxrt import open_runtime
from edge.signals.beats import MAX_UNCERTAINTY_MS
from edge.signals.state import Situation
from edge.vitals import Beats

__all__ = ["Line", "errors_ms", "line", "main"]

RATES = (10.0, 15.0, 20.0, 25.0, 30.0)
SECONDS, PIXELS = 36, 36
SCENES = ((58.0, 0.15), (66.0, 0.35), (74.0, 0.15), (82.0, 0.35), (92.0, 0.15), (104.0, 0.35))
"""HR and how much disturbs."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """All intervals at one frame rate: their error beside the uncertainty that was stated, root mean squares.

    ``rmssd_off_ms`` is the mean of RMSSD less the true one. None where there is nothing to take it of.
    """

    fps: float
    scenes: int
    intervals: int
    rms_ms: float | None
    worst_ms: float | None
    stated_ms: float | None
    rmssd: int
    rmssd_off_ms: float | None
    rmssd_true_ms: float | None


def errors_ms(beats: Beats, true_s: npt.NDArray[np.float64]) -> list[float]:
    """Errors of the intervals. An interval's truth is the time from its beginning to the same phase of the next beat.

    ``true_s`` ``[N]`` are the true beats, of which there are some before and after.
    """
    number = np.arange(len(true_s))
    ends, intervals = (np.array(part, np.float64) for part in (beats.ends_ns, beats.intervals_ms))
    starts_s = ends * 1e-9 - intervals * 1e-3
    whole_s = np.interp(np.interp(starts_s, true_s, number) + 1.0, number, true_s) - starts_s
    errors: list[float] = (intervals - whole_s * 1e3).tolist()
    return errors


def true_rmssd_ms(beats: Beats, tick_ns: int, true_s: npt.NDArray[np.float64]) -> float:
    """RMSSD of the true beats in the window of ``beats``, which were given at ``tick_ns``, less its last second."""
    end_s = tick_ns * 1e-9 - 1.0
    window = true_s[(true_s > end_s - beats.window_s) & (true_s < end_s)]
    return float(np.sqrt(np.mean(np.diff(window, 2) ** 2)) * 1e3)


def _given(scene: Scene, fps: float, bundle: Bundle, runtime: Runtime) -> Iterator[tuple[int, Beats]]:
    """What a person shows who is seen at this frame rate, look by look."""
    person = Person(bundle, thermal=True, camera=False, hop_s=1.0)
    clock = GridClock(0, bundle.fps)
    grid, looked_s = PairGrid(clock, thermal=True), 0
    view = scene.face_view(0.0, PIXELS)
    for k in range(round(SECONDS * fps)):
        t_ns = round(k / fps * 1e9)
        seen = scene.mean_rgb([t_ns * 1e-9], view)[0]
        cells = area_mean(seen, bundle.size).transpose(2, 0, 1)
        for frame in grid.push(t_ns, np.ascontiguousarray(cells), None):
            person.take(frame, np.zeros(2, np.float32))
        if t_ns // 10**9 > looked_s:
            looked_s = t_ns // 10**9
            clip = person.clip()
            if clip is not None:
                waves = runtime.infer(clip.data[None])
                person.accept({task: waves[task][0] for task in bundle.tasks})
            look = person.look(t_ns, Situation(), Situation())
            if look.beats is not None:
                yield t_ns, look.beats


def line(fps: float, scenes: int, bundle: Bundle, runtime: Runtime) -> Line:
    """All scenes at one rate."""
    errors, stated, rmssd = [], [], []
    for number in range(scenes):
        hr, nuisance = SCENES[number % len(SCENES)]
        scene = Scene(SceneParams(hr=hr, seed=4200 + number, seconds=SECONDS, nuisance=nuisance))
        kept, true_s = list(_given(scene, fps, bundle, runtime)), scene.beats_s(0.0, SECONDS)
        errors.append(list(chain.from_iterable(errors_ms(beats, true_s) for _, beats in kept)))
        stated += [beats.uncertainty_ms for _, beats in kept for _ in beats.ends_ns]
        rmssd += [(one.rmssd_ms, true_rmssd_ms(one, at, true_s)) for at, one in kept if one.rmssd_ms is not None]
    all_errors = list(chain.from_iterable(errors))
    return Line(
        fps=fps, scenes=sum(bool(one) for one in errors), intervals=len(all_errors), rms_ms=_rms(all_errors),
        worst_ms=max((_rms(one) or 0.0 for one in errors), default=None), stated_ms=_rms(stated), rmssd=len(rmssd),
        rmssd_off_ms=float(np.mean([read - true for read, true in rmssd])) if rmssd else None,
        rmssd_true_ms=float(np.mean([true for _, true in rmssd])) if rmssd else None,
    )  # fmt: skip


def _rms(values: Sequence[float]) -> float | None:
    return float(np.sqrt(np.mean(np.square(values)))) if values else None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=len(SCENES))
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    bundle = load_bundle(None)
    runtime: Runtime = open_runtime(bundle, "exact", "auto")
    columns = (
        "fps", "scenes with IBI", "intervals", "error, ms", "worst scene, ms", "stated, ms",
        "RMSSD", "off by, ms", "true, ms",
    )  # fmt: skip
    table = Table(*columns, title=f"Beat intervals stated to {MAX_UNCERTAINTY_MS:g} ms or better")
    for fps in chosen.rates:
        found = msgspec.structs.astuple(line(fps, chosen.scenes, bundle, runtime))
        table.add_row(*(f"{one:.1f}" if isinstance(one, float) else "-" if one is None else str(one) for one in found))
    console = Console(width=120)
    console.print(table)
    console.print(machine())


if __name__ == "__main__":
    main()
