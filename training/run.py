"""A whole training run in a folder: data, parts side by side, checkpoint with card, curves.

The folder holds everything needed to go on after an interruption; the same command continues it::

    run.json                  preset and seed; another preset or seed needs another folder
    data/{train,validation}/  recordings on the model's grid
    parts/PART.pt             state of each part's training
    NAME.safetensors .json    the result and its card
    curves.png
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from edge.errors import UsageError
from training.attention import AttentionSpec
from training.checkpoint import Card, load_card, save_checkpoint, versions, write_atomically
from training.curves import save_curves
from training.datasets import Recordings, Windows
from training.datasets.synthetic import recording_from_scene
from training.heldout import metrics_from_model
from training.model import ModelSpec
from training.recipe import Preset, Recipe
from training.train import PartState, parts_of, train_part, training_device
from training.workers import Workers, cpu_count, report, stopped, workers

__all__ = ["RunResult", "run_training"]

SPLITS = ("train", "validation")
"""The number of a split is part of its recordings' seeds, so the two never share a scene."""
CHUNK = 10
"""Recordings a rendering job makes."""
ACROSS_CLIPS = ("negative_pearson_batch_axis", "negative_pearson_whole_batch")
"""Losses that compare the clips of a batch."""

OnProgress = Callable[[str, int, int, str], None]
"""Called with what is being done, how much of it, of how much, and a remark."""


class RunResult(msgspec.Struct, frozen=True):
    """``card`` is None when the run was interrupted; the same command continues it."""

    out: Path
    card: Card | None


class _Job(msgspec.Struct, frozen=True):
    """What a worker needs to know about its run."""

    out: Path
    preset: Preset
    seed: int

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec(**msgspec.structs.asdict(self.preset.model))

    @property
    def attention(self) -> AttentionSpec | None:
        choice = self.preset.attention
        return None if choice is None else AttentionSpec(**msgspec.structs.asdict(choice))

    @property
    def half(self) -> bool:
        """Whether all is trained, and the checkpoint saved, in half precision."""
        return all(recipe.precision == "half" for recipe in self.preset.parts.values())

    def recordings(self, split: str) -> Recordings:
        data = self.preset.data
        count, seconds = (
            (data.recordings, data.seconds)
            if split == "train"
            else (data.validation_recordings, data.validation_seconds)
        )
        shape = (count, self.spec.channels, round(seconds * data.fps) + 1, self.spec.size, self.spec.size)
        return Recordings.at(self.out / "data" / split, shape)

    def state_path(self, part: str) -> Path:
        return self.out / "parts" / f"{part}.pt"


def run_training(preset: Preset, out: Path, seed: int, on_progress: OnProgress) -> RunResult:
    """Train ``preset`` in the folder ``out``, from nothing or from where an earlier run of the same stopped.

    On SIGINT or SIGTERM everything is saved and a result without card is given.

    Raises
    ------
    UsageError
        The preset does not fit together, or ``out`` holds another run.
    FaultError
        The loss became infinite, or a worker died.
    """
    job = _Job(out, preset, seed)
    _check(job)
    _claim(job)
    parts = parts_of(job.spec)
    with workers(max(cpu_count(), len(parts)), __name__) as pool:
        for split in SPLITS:
            _render(pool, job, split, on_progress)
        jobs = [(job, part, _threads(job.spec.size, len(parts))) for part in parts]
        metrics = pool.run(_train, jobs, on_progress)
        if pool.stopped:
            return RunResult(out, None)
    return RunResult(out, _finish(job, metrics))


def _check(job: _Job) -> None:
    """UsageError, naming the preset, when it does not fit together."""
    preset = f"preset {job.preset.name!r}"
    try:
        parts, _ = parts_of(job.spec), job.attention
        job.spec.check_frames(job.preset.data.frames)
    except ValueError as error:
        raise UsageError(f"{preset}: {error}") from error
    if set(parts) != set(job.preset.parts):
        wanted, seen = sorted(parts), sorted(job.preset.parts)
        raise UsageError(f"{preset} has recipes for {seen}; its model's parts are {wanted}")
    recipes = job.preset.parts.values()
    if len({recipe.precision for recipe in recipes}) > 1:
        raise UsageError(f"{preset} trains parts in different precision; a checkpoint has one")
    if any(recipe.loss in ACROSS_CLIPS and recipe.batch == 1 for recipe in recipes):
        raise UsageError(f"{preset} correlates across a batch of one clip; raise the batch or take another loss")
    data = job.preset.data
    if min(data.seconds, data.validation_seconds) * data.fps + 1 < data.frames:
        raise UsageError(f"{preset}: recordings are shorter than {data.frames} frames; raise data.seconds")


def _claim(job: _Job) -> None:
    """Make the folder this run's, or find that it already is."""
    path = job.out / "run.json"
    mine = msgspec.json.format(msgspec.json.encode({"preset": job.preset, "seed": job.seed}), indent=1) + b"\n"
    if path.is_file() and path.read_bytes() != mine:
        raise UsageError(
            f"{job.out} holds a run with another preset, setting or seed; choose another --out or remove it"
        )
    write_atomically(path, mine)


# --------------------------------------------------------------------------------------------------------------- data


def _render(pool: Workers, job: _Job, split: str, on_progress: OnProgress) -> None:
    """Fill what is still missing of a split."""
    done = job.recordings(split).done
    missing = [index for index in range(len(done)) if not done[index]]
    finished = len(done) - len(missing)

    def count(number: int) -> None:
        nonlocal finished
        finished += number
        on_progress(f"{split} data", finished, len(done), "")

    count(0)
    pool.run(_render_chunk, [(job, split, missing[i : i + CHUNK]) for i in range(0, len(missing), CHUNK)], count)


def _render_chunk(job: _Job, split: str, indices: list[int]) -> None:
    recordings = job.recordings(split)
    length = recordings.frames.shape[2]
    for index in indices:
        if stopped():
            break
        own = job.preset.data.seed
        seed = (job.seed if own is None else own, SPLITS.index(split), index)
        recording = recording_from_scene(job.preset.data, job.spec.size, job.spec.channels, length, seed)
        recordings.frames[index] = recording.frames
        for name, values in recording.series.items():
            recordings.series[name][index] = values
        recordings.tone[index] = recording.tone
        recordings.done[index] = True
        report(1)


# -------------------------------------------------------------------------------------------------------------- parts


def _threads(size: int, parts: int) -> int:
    """Threads for a part: at 9 x 9 a second one costs more than it gives."""
    return 1 if size == 9 else max(1, cpu_count() // parts)


def _train(job: _Job, part: str, threads: int) -> dict[str, Any] | None:
    """Train one part and look at its rates; None when interrupted."""
    torch.set_num_threads(threads)
    spec, recipe = parts_of(job.spec)[part], job.preset.parts[part]
    state, path = PartState.new(spec, recipe, job.seed, job.attention, training_device()), job.state_path(part)
    if path.is_file():
        state.load(path)
    channels = slice(None, 3) if spec.channels == 3 else slice(-spec.channels, None)
    windows = Windows(job.recordings("train"), job.preset.data.frames, channels, job.seed)

    def tell(state: PartState) -> None:
        recent = state.losses[-50:]
        report(part, state.step, recipe.steps, f"loss {sum(recent) / len(recent):.3f}")

    if not train_part(state, windows, recipe, job.seed, path, tell, stopped):
        return None
    state.model.load_state_dict(_as_saved(state.model.state_dict(), half=job.half))
    return metrics_from_model(state.model, job.recordings("validation"), job.preset.data.frames, job.preset.data.fps)


def _finish(job: _Job, metrics: list[dict[str, Any]]) -> Card:
    """Join the parts into one checkpoint and write its card and curves."""
    states = {part: _finished_state(job, part, recipe) for part, recipe in job.preset.parts.items()}
    weights = {key: value for state in states.values() for key, value in state.model.state_dict().items()}
    model, data = job.preset.model, job.preset.data
    card = Card(
        name=job.preset.name,
        size=model.size,
        fusion=model.fusion,
        channels=model.channels,
        tasks=model.tasks,
        reach=model.reach,
        geometry=model.geometry,
        input_scale=model.input_scale,
        precision="half" if job.half else "single",
        fps=data.fps,
        frames=data.frames,
        recipe=msgspec.to_builtins(job.preset),
        seed=job.seed,
        data="synthetic scene, cut-out face box; metrics on held-out recordings of the same ranges, every window",
        metrics={rate: values for part in metrics for rate, values in part.items()},
        versions=versions(),
    )
    path = job.out / f"{job.preset.name}.safetensors"
    save_checkpoint(path, _as_saved(weights, half=job.half), card)
    losses = {part: state.losses for part, state in states.items()}
    save_curves(job.out / "curves.png", losses, " + ".join(sorted({r.loss for r in job.preset.parts.values()})))
    return load_card(path)


def _finished_state(job: _Job, part: str, recipe: Recipe) -> PartState:
    state = PartState.new(parts_of(job.spec)[part], recipe, job.seed, job.attention)
    state.load(job.state_path(part))
    return state


def _as_saved(weights: Mapping[str, Tensor], *, half: bool) -> dict[str, Tensor]:
    """Weights as the checkpoint holds them; metrics are measured with these."""
    return {key: value.half() if half else value for key, value in weights.items()}
