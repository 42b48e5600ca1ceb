"""Sixty held-out scenes with a fault each, through the whole deployed chain: what is published, and how soon it ends.

    python -m training.yardstick.fault_campaign [--out DIR] [--tapes DIR] [--jobs N] [--scenes N] [--only KIND]

Cameras, detector, tracker and crop are played once a scene (20 to 30 seconds of one processor) and kept as tapes, so
that what is interrupted goes on where it was, and what is judged by later code is played no more. Each tape is then
given to a person in mode ``exact`` and in mode ``stream``, with the default bundle.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from edge.benchmarks.machine import machine
from edge.bundle import load_bundle
from training.workers import Workers, cpu_count, workers
from training.yardstick.fault_figures import campaign
from training.yardstick.fault_play import Played, played
from training.yardstick.fault_report import markdown, save
from training.yardstick.fault_scenes import KINDS, Scene, scenes
from training.yardstick.tape import front_fingerprint

__all__ = ["main"]


def main() -> None:
    """Play, judge, save, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("report-faults"))
    parser.add_argument("--tapes", type=Path, default=Path("runs/tapes/faults"))
    parser.add_argument("--jobs", type=int, default=cpu_count(), help="processes")
    parser.add_argument("--scenes", type=int, help="only the first so many; they hold all kinds alike")
    parser.add_argument("--only", choices=sorted(KINDS), help="only this kind of fault")
    chosen = parser.parse_args()
    todo = [scene for scene in scenes() if chosen.only in (None, scene.kind)][: chosen.scenes]
    console = Console(width=180)
    with workers(chosen.jobs, played.__module__) as pool:
        done = _all_played(pool, todo, chosen.tapes)
        if done is None:
            console.print(f"interrupted; what was played is kept in {chosen.tapes}, the same command continues")
            return
    result = campaign(done, machine=machine(), bundle=load_bundle(None).id, front=front_fingerprint())
    console.print(markdown(result))
    for path in save(result, done, chosen.out):
        console.print(str(path))


def _all_played(pool: Workers, todo: Sequence[Scene], tapes: Path) -> list[Played] | None:
    with Progress() as progress:
        task = progress.add_task("scenes", total=len(todo))
        jobs = [(scene, tapes) for scene in todo]
        done = pool.run(played, jobs, lambda *_: None, lambda: progress.advance(task))
    return None if pool.stopped or None in done else done


if __name__ == "__main__":
    main()
