"""``mmrphys import``: a published ``.pth`` checkpoint becomes one of this package's, checked against its own code.

What the tensors and the file's name do not tell, the user does (:class:`Answers`). What comes out is fed like every
other checkpoint here (:mod:`training.feeding`).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec
from torch import Tensor

from edge.errors import InputError, UsageError
from training.checkpoint import Card, folder_for_writing, load_card, save_checkpoint, versions, write_atomically
from training.feeding import Feeding
from training.golden import golden_from_file
from training.model import ModelSpec
from training.reference import SINGLE_TASK_FRAMES, Published, published_from_pth, tokens_from_name

__all__ = ["Answers", "Imported", "import_checkpoint"]


MAX_FRAMES = 3601
"""Two minutes at 30 frames per second."""


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says of a checkpoint; None is left to the file. ``frames`` is F."""

    size: int | None = None
    fps: float | None = None
    frames: int | None = None
    feeding: Feeding = Feeding()


class Imported(NamedTuple):
    """The checkpoint written, its card, and a line for everything inferred, left out or in doubt."""

    path: Path
    card: Card
    notes: list[str]


def import_checkpoint(path: Path, out: Path, answers: Answers, golden: Path | None = None) -> Imported:
    """Write ``out/NAME.safetensors`` with its card, NAME being that of ``path``; with ``golden`` also that, checked.

    Raises
    ------
    InputError
        A file cannot be used (:func:`training.reference.published_from_pth`), or the model does not give the golden
        outputs.
    UsageError
        Something is not known and must be given, or is at odds with the file.
    """
    published = published_from_pth(path, answers.size)
    spec, dropped = _named_tasks(path, published)
    notes = [*_words(published, spec), *dropped]
    frames, fps = _length_and_rate(path, spec, answers, notes)
    name = re.sub(r"[^A-Za-z0-9_-]", "-", path.stem)[:64]
    state = answers.feeding.weights_in_our_order(_of_tasks(published.state, spec))
    spec = replace(spec, input_scale=answers.feeding.factors)
    card = _card(name, path, spec, fps, frames, published, answers, notes)
    place, pair = out / f"{name}.safetensors", None
    if golden is not None:
        pair, worst = golden_from_file(golden, card, state, answers.feeding)
        sha256 = hashlib.sha256(pair).hexdigest()
        card = msgspec.structs.replace(card, golden=f"{name}.golden.npz", golden_sha256=sha256)
        notes.append(f"golden: outputs match within {worst:.1e} of their standard deviation; they are the self-test")
    folder_for_writing(out)
    _check_replaceable(place, card)
    if pair is not None:
        write_atomically(out / card.golden, pair)
    return Imported(place, save_checkpoint(place, state, card), notes)


def _check_replaceable(place: Path, card: Card) -> None:
    """UsageError where a checkpoint of this name stands that is not an earlier import of the same file."""
    if place.exists() and load_card(place).source.get("sha256") != card.source["sha256"]:
        raise UsageError(f"{place}: another checkpoint of this name; name another --out, or remove it")


def _words(published: Published, spec: ModelSpec) -> list[str]:
    trained = any(".attention." in key for key in published.state)
    shape = f"fusion {spec.fusion}, {spec.size} x {spec.size}, {' + '.join(spec.modalities)}, {' + '.join(spec.tasks)}"
    half, attended = ", float16" if published.is_half else "", "with" if trained else "without"
    return [
        f"recognised: {published.family}, {shape}{half}, trained {attended} attention",
        *(f"left out: {line}" for line in published.dropped),
        *(f"in doubt: {line}" for line in published.doubts),
    ]


# --------------------------------------------------------------------------------------------- what it is, and its card


def _named_tasks(path: Path, published: Published) -> tuple[ModelSpec, list[str]]:
    """The model without branches that its name does not claim: NF and LF files hold both, trained or not."""
    spec, named = published.spec, tokens_from_name(path.name).tasks
    if named is None or named == spec.tasks:
        return spec, []
    if not named or not set(named) <= set(spec.tasks):
        raise InputError(f"{path}: its name says {named or 'BP'}, its tensors {spec.tasks}; rename it to what it holds")
    lines = [f"left out: {task}, a branch that the name does not claim and was not trained" for task in spec.tasks
             if task not in named]  # fmt: skip
    if spec.fusion == "NF":
        return ModelSpec(spec.size, "EF", len(published.state[f"{named[0]}.features.0.conv.weight"][0]), named), lines
    return replace(spec, tasks=named), lines


def _of_tasks(state: dict[str, Tensor], spec: ModelSpec) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key.split(".")[0] in spec.tasks}


def _length_and_rate(path: Path, spec: ModelSpec, answers: Answers, notes: list[str]) -> tuple[int, float]:
    """F and frames per second: as given, else from the file's name, which is noted."""
    tokens = tokens_from_name(path.name)
    if answers.size is None:
        notes.append(f"size {spec.size}: from {'the file' if spec.geometry != 'current' else 'the name'}")
    named = tokens.frames or (SINGLE_TASK_FRAMES if tokens.single and spec.tasks == ("bvp",) else None)
    frames = named if answers.frames is None else answers.frames
    fps = tokens.fps if answers.fps is None else answers.fps
    if frames is None:
        raise UsageError(f"{path}: its name does not tell the clip's length; give --frames, such as 181")
    if fps is None:
        raise UsageError(f"{path}: its name does not tell the frame rate it was trained at; give --fps, such as 30")
    if answers.frames is None:
        notes.append(f"frames {frames}: from the name")
    if answers.fps is None:
        notes.append(f"fps {fps:g}: of the data set in the name")
    if not 9 <= frames <= MAX_FRAMES or not spec.takes(frames):
        raise UsageError(f"--frames {frames}: want 9 to {MAX_FRAMES}, and a multiple of 4 plus 1 when RSP is on")
    return frames, fps


def _card(
    name: str, path: Path, spec: ModelSpec, fps: float, frames: int, published: Published, answers: Answers,
    notes: list[str],
) -> Card:  # fmt: skip
    source = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "family": published.family,
        "trained_on": msgspec.to_builtins(answers.feeding),
        "notes": list(notes),
        "licence": "that of its authors; hand their notice on with the weights",
    }
    return Card(
        name=name, fps=fps, frames=frames, source=source, versions=versions(),
        data=f"imported from {path.name}; trained by its authors, not measured here", **spec.as_dict(),
    )  # fmt: skip
