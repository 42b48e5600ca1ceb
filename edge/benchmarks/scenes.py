"""What the whole deployed chain publishes on seeded synthetic scenes.

Run it with ``python -m edge.benchmarks.scenes [N] [--json FILE]``. Scenes of 40 s at 640x480, HR 42 to 170, RR 8 to 28
per minute, all skin tones, through the real detector. Per level of nuisances: how often a rate is published as ``ok``
(coverage, of all looks), how far it is then from the truth, and how often it is confidently wrong (by more than 5 per
minute for HR, 3 for RR). Synthetic scenes are no patients.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from edge.benchmarks.machine import machine
from edge.bundle import load_bundle
from edge.cameras import Camera, camera_from_uri
from edge.cameras.scene import PRESETS
from edge.faces import detector_by_name
from edge.frames import Frame
from edge.pipeline import Options, Pipeline
from edge.runtimes.onnxrt import open_runtime
from edge.vitals import Estimate, Vitals

__all__ = ["main"]

SECONDS = 40
WRONG_PER_MIN = {"hr": 5.0, "rr": 3.0}
FIRST_SEED = 900_000
"""Far from the seeds that training draws."""


@dataclass(frozen=True, slots=True)
class Look:
    """One published second: state per rate, and its error, None without a value."""

    hr_state: str
    hr_error: float | None
    rr_state: str
    rr_error: float | None


def scene_uri(seed: int, level: str) -> str:
    """The scene of a seed and level."""
    rng = np.random.default_rng(seed)
    hr, rr = rng.uniform(42.0, 170.0), rng.uniform(8.0, 28.0)
    tone, amplitude = rng.uniform(1.0, 6.0), np.exp(rng.uniform(np.log(0.003), np.log(0.015)))
    return (
        f"synthetic:?hr={hr:.1f}&rr={rr:.1f}&tone={tone:.2f}&amplitude={amplitude:.4f}"
        f"&seed={seed}&seconds={SECONDS}&nuisance={PRESETS[level]}&jitter_ms=2&drop=0.005"
    )


def looks_at(uri: str) -> list[Look]:
    """Run one scene through the chain."""
    cameras = [camera_from_uri(uri, kind) for kind in ("rgb", "thermal")]
    for camera in cameras:
        camera.open()
    bundle = load_bundle(None)
    pipeline = Pipeline(
        bundle, open_runtime(bundle, "exact", "auto"), detector_by_name("haar"), Options("main", thermal=True)
    )
    published = [
        output
        for frame in heapq.merge(*map(_frames, cameras), key=lambda frame: frame.pts_ns)
        for output in pipeline.push(frame)
        if isinstance(output, Vitals)
    ]
    return [_look(vitals, cameras[0]) for vitals in published]


def _frames(camera: Camera) -> Iterator[Frame]:
    while (frame := camera.read()) is not None:
        yield frame


def _look(vitals: Vitals, camera: Camera) -> Look:
    truth = camera.truth_at(vitals.pts_ns)  # type: ignore[attr-defined] # a synthetic camera knows it
    hr, rr = _error(vitals.hr, truth.hr_per_min), _error(vitals.rr, truth.rr_per_min)
    return Look(vitals.hr.state, hr, vitals.rr.state, rr)


def _error(estimate: Estimate, truth_per_min: float) -> float | None:
    return None if estimate.value is None else abs(estimate.value - truth_per_min)


def figures(looks: Sequence[Look], rate: str) -> dict[str, float]:
    """Coverage, MAE, share within the limit, and false confidence (of ``ok`` looks) of one rate."""
    states, errors = ([getattr(look, f"{rate}_{part}") for look in looks] for part in ("state", "error"))
    ok = np.array([error for state, error in zip(states, errors, strict=True) if state == "ok"])
    return {
        "looks": len(looks),
        "ok": len(ok),
        "coverage": len(ok) / len(looks),
        "mae_per_min": float(ok.mean()) if len(ok) else float("nan"),
        "wrong_share": float((ok > WRONG_PER_MIN[rate]).mean()) if len(ok) else float("nan"),
    }


def main() -> None:
    """Run, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("count", nargs="?", type=int, default=12, help="scenes a level")
    parser.add_argument("--json", type=Path, help="write the figures and every look here")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    bundle = load_bundle(None)
    result: dict[str, object] = {"machine": machine(), "bundle": bundle.id}
    table = Table(title=f"{options.count} scenes of {SECONDS} s a level; {bundle.manifest.name} {bundle.id[:19]}")
    for name in ("level", "rate", "coverage", "MAE /min", "confidently wrong"):
        table.add_column(name, justify="left" if name in ("level", "rate") else "right")
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        for level in PRESETS:
            uris = [scene_uri(FIRST_SEED + n, level) for n in range(options.count)]
            scenes = list(pool.map(looks_at, uris))
            looks = [look for scene in scenes for look in scene]
            result[level] = {
                "hr": figures(looks, "hr"),
                "rr": figures(looks, "rr"),
                "scenes": [{"uri": u, "looks": [asdict(x) for x in s]} for u, s in zip(uris, scenes, strict=True)],
            }
            for rate in ("hr", "rr"):
                row = figures(looks, rate)
                shown = (f"{row['coverage']:.0%}", f"{row['mae_per_min']:.2f}", f"{row['wrong_share']:.1%}")
                table.add_row(level, rate.upper(), *shown)
    console = Console()
    console.print(table)
    console.print(f"[dim]{machine()}[/]")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
