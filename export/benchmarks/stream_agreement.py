"""How well a stream agrees with whole windows: waveforms and HR on scenes that ask for different things.

    python -m export.benchmarks.stream_agreement training/results/default/default.safetensors --memory 180 300 600

Scenes are drawn at 640 x 480 and go through the deployed detector, tracker, crop and time grid;
``export/stream_agreement.py`` says how waveforms and rates are compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch
import typer

from edge.benchmarks.machine import machine
from edge.bundle import load_bundle
from edge.cameras.synthetic import SyntheticCamera
from export.clip_set import Recording as Clip
from export.graphs import onnx_from_model
from export.stream import MEMORY, onnx_stream_from_model
from export.stream_agreement import WINDOW_S, Waves, stream_hops, streamed, windowed
from training.checkpoint import load_card, model_from_checkpoint
from training.yardstick.tape import Tape, kept_tape

__all__ = ["KIND", "MEMORY", "SCENES", "Agreement", "Result", "main"]

KIND = "streams against windows"
SCENES = {
    "calm": "nuisance=0.15",
    "motion": "nuisance=0.15&sway=0.03&posture=0.04&moves_per_min=6",
    "noise": "nuisance=0.15&noise=3",
    "light step": "nuisance=0.15&steps_per_min=6&light_step=0.2&gain_step=0.05",
    "slow light": "nuisance=0.15&light_drift=0.1",
}
HEART = ((1, 72), (2, 56), (3, 95))
"""Seed and heart rate of the recordings of each scene."""

Row = tuple[str, float, float, float]


class Agreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scene, task and memory. Pearson's r of the waveforms; mean absolute errors against the scene's truth."""

    scene: str
    task: str
    memory: float
    windows: int
    pearson_median: float
    pearson_least: float
    stream_error_per_min: float
    window_error_per_min: float


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured on: ``recordings`` of ``seconds`` for each scene."""

    kind: str
    machine: str
    checkpoint: str
    seconds: float
    recordings: int
    agreement: list[Agreement]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """What the cameras gave of a scene, and the rates it had."""

    scene: str
    tape: Tape
    camera: SyntheticCamera

    @property
    def frames(self) -> npt.NDArray[np.float32]:
        """``[4, N, S, S]`` on the model's grid."""
        return np.ascontiguousarray(self.tape.data.swapaxes(0, 1))

    def truth(self, task: str, sample: int) -> float:
        """The rate over the time before ``sample``, as long as it is read."""
        t_s = float(self.tape.t_ns[sample]) * 1e-9
        scene = self.camera.scene
        mean = scene.mean_hr_per_min if task == "bvp" else scene.mean_rr_per_min
        return float(mean(t_s, WINDOW_S[task]))


def recordings(seconds: float, folder: Path) -> Iterator[Recording]:
    """Every scene, played or taken from ``folder``."""
    bundle = load_bundle(None)
    for scene, query in SCENES.items():
        for seed, hr in HEART:
            words = f"synthetic:?seconds={seconds:g}&seed={seed}&hr={hr}&rr={10 + 3 * seed}&{query}"
            path = folder / f"{scene.replace(' ', '-')}-{seed}-{seconds:g}.npz"
            yield Recording(scene, *kept_tape(bundle, words, path))


def compared(recording: Recording, stream: Waves, window: Waves, fps: float) -> Iterator[Row]:
    """``(task, r, error of the stream, error of the windows)`` every second."""
    for hop in stream_hops(0, stream, window, fps):
        truth = recording.truth(hop.task, round(hop.t_s * fps))
        own, other = (float("nan") if rate is None else rate for rate in (hop.reference_per_min, hop.shift_per_min))
        yield hop.task, hop.pearson, abs(own + other - truth), abs(own - truth)


def agreements(scene: str, memory: float, rows: Iterable[Row]) -> list[Agreement]:
    """The rows of a scene summed up, a task each."""
    by_task: dict[str, list[Row]] = {}
    for row in rows:
        by_task.setdefault(row[0], []).append(row)
    found = []
    for task, held in by_task.items():
        r, stream, window = np.array([row[1:] for row in held]).T
        means = (float(np.nanmean(error).round(2)) for error in (stream, window))
        found.append(
            Agreement(scene, task, memory, len(r), float(np.median(r).round(4)), float(r.min().round(3)), *means)
        )
    return found


def measure(checkpoint: Path, memories: list[float], seconds: float, folder: Path) -> list[Agreement]:
    """All scenes with all memories."""
    card, model = load_card(checkpoint), model_from_checkpoint(checkpoint)
    whole = onnx_from_model(model, card.frames, "fast").SerializeToString()
    graphs = {memory: onnx_stream_from_model(model, "fast", memory).SerializeToString() for memory in memories}
    rows: dict[tuple[str, float], list[Row]] = {}
    for recording in recordings(seconds, folder):
        window = windowed(whole, [Clip(recording.frames)], card.tasks, card.frames, card.fps).whole(0)
        for memory, graph in graphs.items():
            of_one = compared(recording, streamed(graph, recording.frames), window, card.fps)
            rows.setdefault((recording.scene, memory), []).extend(of_one)
    return [one for (scene, memory), held in rows.items() for one in agreements(scene, memory, held)]


def main() -> None:
    """Print the table; ``--json FILE`` writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--memory", type=float, nargs="+", default=[MEMORY], help="frames")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--tapes", type=Path, default=Path("stream-tapes"), help="folder of what was played")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(options.checkpoint, options.memory, options.seconds, options.tapes)
    for one in found:
        r = f"r {one.pearson_median:.4f} (least {one.pearson_least:.3f})"
        errors = f"error {one.stream_error_per_min:5.2f} per min, of windows {one.window_error_per_min:5.2f}"
        typer.echo(f"{one.scene:11} {one.task} memory {one.memory:4g}: {r}, {errors}")
    if options.json:
        result = Result(KIND, machine(), options.checkpoint.stem, options.seconds, len(HEART), found)
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")


if __name__ == "__main__":
    main()
