"""The training loop: one part of a model, from its first step or from where it was stopped, to its last."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edge.errors import FaultError
from training.attention import AttentionSpec
from training.checkpoint import write_atomically
from training.datasets import Windows
from training.losses import LOSSES, normalised_label
from training.model import Mmrphys, ModelSpec
from training.recipe import Recipe

__all__ = ["CPU", "SAVE_EVERY_STEPS", "PartState", "parts_of", "train_part", "training_device"]

SAVE_EVERY_STEPS = 200
CPU = torch.device("cpu")
HALF = {"cuda": torch.float16, "cpu": torch.bfloat16}
"""What half precision is on each kind of device. float16 runs on a CPU too, but the gradient of its convolutions has no
fast kernel there: tens of times slower than single precision, where bfloat16 is as fast (torch 2.13)."""
HALF_GRADIENT_NORM = 1.0
"""In half precision gradients are scaled down to this norm where theirs is larger."""
LEAST_SCALE = 2.0**-14
"""Of the loss in half precision. It is halved when gradients overflow: below this they do so whatever it is."""


def training_device() -> torch.device:
    """The GPU where there is one. Its convolutions are told to give the same numbers each time, as a CPU's do."""
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return torch.device("cuda") if torch.cuda.is_available() else CPU


def parts_of(spec: ModelSpec) -> dict[str, ModelSpec]:
    """The parts of a model that share no weights and can be trained apart, by name.

    Without fusion every branch is one, seeing its own modality; with early or late fusion the whole model is.
    """
    if spec.fusion != "NF":
        return {"+".join(spec.tasks): spec}
    seen = {"bvp": 3, "rsp": 1}
    return {task: replace(spec, fusion="EF", channels=seen[task], tasks=(task,)) for task in spec.tasks}


@dataclass(slots=True)
class PartState:
    """Where a part's training stands: weights, optimiser, schedule, loss scale and the loss of every step so far."""

    model: Mmrphys
    optimiser: torch.optim.Adam
    schedule: torch.optim.lr_scheduler.OneCycleLR
    scaler: torch.amp.GradScaler
    losses: list[float] = field(default_factory=list)

    @classmethod
    def new(
        cls,
        spec: ModelSpec,
        recipe: Recipe,
        seed: int,
        attention: AttentionSpec | None = None,
        device: torch.device = CPU,
    ) -> PartState:
        """Freshly initialised from ``seed``; the same weights on every device.

        The schedule is the published one, and torch's default: 30 % warm-up from a 25th of the learning rate, then
        cosine down to 1e-4 of where it began, while Adam's first beta goes from 0.95 to 0.85 and back.
        """
        torch.manual_seed(seed)
        model = Mmrphys(spec, attention).to(device)
        model = model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        optimiser = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=recipe.learning_rate, total_steps=recipe.steps + 1
        )
        optimiser.step()  # changes nothing; without it the schedule warns when the first batch overflows
        return cls(model, optimiser, schedule, torch.amp.GradScaler(device.type, enabled=recipe.precision == "half"))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.losses)

    def save(self, path: Path) -> None:
        """Write everything to ``path``, whole or not at all."""
        buffer = io.BytesIO()
        torch.save(self._parts() | {"losses": torch.tensor(self.losses, dtype=torch.float64)}, buffer)
        write_atomically(path, buffer.getvalue())

    def load(self, path: Path) -> None:
        """Continue from what :meth:`save` wrote."""
        held: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(held["model"])
        self.optimiser.load_state_dict(held["optimiser"])
        self.schedule.load_state_dict(held["schedule"])
        self.scaler.load_state_dict(held["scaler"])
        self.losses = held["losses"].tolist()

    def _parts(self) -> dict[str, Any]:
        named: tuple[Any, ...] = (self.model, self.optimiser, self.schedule, self.scaler)
        return {
            name: part.state_dict()
            for name, part in zip(("model", "optimiser", "schedule", "scaler"), named, strict=True)
        }


def train_part(
    state: PartState,
    windows: Windows,
    recipe: Recipe,
    seed: int,
    path: Path,
    report: Callable[[PartState], None],
    stopped: Callable[[], bool],
) -> bool:
    """Train until ``recipe.steps`` or ``stopped()``; ``state`` is kept in ``path`` and shown to ``report`` each step.

    Everything random in a step follows from ``seed`` and the step's number, so a training that was interrupted gives
    the same weights as one that was not. Gives whether it is finished.

    Raises
    ------
    FaultError
        The loss is no longer a finite number, or in half precision its gradient.
    """
    state.model.train()
    while state.step < recipe.steps and not stopped():
        torch.manual_seed(hash((seed, state.step)))
        state.losses.append(_step(state, windows, recipe))
        if not math.isfinite(state.losses[-1]):
            raise FaultError(
                f"the loss is {state.losses[-1]} after {state.step} steps; lower the learning rate, or look for frames "
                "that are no numbers"
            )
        if state.scaler.get_scale() < LEAST_SCALE:
            raise FaultError(f"gradients overflow at any scale after {state.step} steps; train in single precision")
        report(state)
        if state.step % SAVE_EVERY_STEPS == 0:
            state.save(path)
    state.save(path)
    return state.step >= recipe.steps


def _step(state: PartState, windows: Windows, recipe: Recipe) -> float:
    """One batch: forward, backward, update; gives the loss. Where scaled gradients overflow, weights stay."""
    clips, labels = _batch(state, windows, recipe)
    half = recipe.precision == "half"
    with torch.autocast(clips.device.type, HALF[clips.device.type], enabled=half):
        waves = state.model(clips, {name: normalised_label(label) for name, label in labels.items()})
    loss = torch.stack([LOSSES[recipe.loss](wave, labels[task]) for task, wave in waves.items()]).sum()
    state.optimiser.zero_grad()
    state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    if half:
        state.scaler.unscale_(state.optimiser)
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), HALF_GRADIENT_NORM)
    state.scaler.step(state.optimiser)
    state.scaler.update()
    state.schedule.step()  # it counts batches, not updates
    return loss.item()


def _batch(state: PartState, windows: Windows, recipe: Recipe) -> tuple[Tensor, dict[str, Tensor]]:
    """Clips and labels of the next step, where the weights are."""
    frames, labels = windows.batch(state.step, recipe.batch)
    clips = torch.from_numpy(frames.copy()).contiguous(memory_format=torch.channels_last_3d)
    return clips.to(state.device), {name: torch.from_numpy(label).to(state.device) for name, label in labels.items()}
