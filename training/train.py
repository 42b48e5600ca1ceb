"""The training loop: one part of a model, from its first step or from where it was stopped, to its last."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edge.errors import FaultError
from training.checkpoint import write_atomically
from training.datasets import Windows
from training.losses import LOSSES
from training.model import Mmrphys, ModelSpec
from training.recipe import Recipe

__all__ = ["SAVE_EVERY_STEPS", "PartState", "parts_of", "train_part"]

SAVE_EVERY_STEPS = 200


def parts_of(spec: ModelSpec) -> dict[str, ModelSpec]:
    """The parts of a model that share no weights and can be trained apart, by name.

    Without fusion every branch is one, seeing its own modality; with early fusion the whole model is.
    """
    if spec.fusion == "EF":
        return {"+".join(spec.tasks): spec}
    seen = {"bvp": 3, "rsp": 1}
    return {task: ModelSpec(spec.size, "EF", seen[task], (task,), spec.reach) for task in spec.tasks}


@dataclass(slots=True)
class PartState:
    """Where a part's training stands: weights, optimiser, schedule and the loss of every step so far."""

    model: Mmrphys
    optimiser: torch.optim.Adam
    schedule: torch.optim.lr_scheduler.OneCycleLR
    losses: list[float] = field(default_factory=list)

    @classmethod
    def new(cls, spec: ModelSpec, recipe: Recipe, seed: int) -> PartState:
        """Freshly initialised from ``seed``."""
        torch.manual_seed(seed)
        model = Mmrphys(spec).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        optimiser = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=recipe.learning_rate, total_steps=recipe.steps + 1
        )
        return cls(model, optimiser, schedule)

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
        self.losses = held["losses"].tolist()

    def _parts(self) -> dict[str, Any]:
        named: dict[str, Any] = {"model": self.model, "optimiser": self.optimiser, "schedule": self.schedule}
        return {name: part.state_dict() for name, part in named.items()}


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
        The loss is no longer a finite number.
    """
    state.model.train()
    while state.step < recipe.steps and not stopped():
        torch.manual_seed(hash((seed, state.step)))
        frames, labels = windows.batch(state.step, recipe.batch)
        clips = torch.from_numpy(frames.copy()).contiguous(memory_format=torch.channels_last_3d)
        loss = _loss(state.model(clips), {task: torch.from_numpy(label) for task, label in labels.items()}, recipe)
        state.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimiser.step()
        state.schedule.step()
        state.losses.append(loss.item())
        if not torch.isfinite(loss):
            raise FaultError(f"the loss is {loss.item()} after {state.step} steps; lower the learning rate")
        report(state)
        if state.step % SAVE_EVERY_STEPS == 0:
            state.save(path)
    state.save(path)
    return state.step >= recipe.steps


def _loss(waves: dict[str, Tensor], labels: dict[str, Tensor], recipe: Recipe) -> Tensor:
    """Sum over tasks."""
    losses = [LOSSES[recipe.loss](wave, labels[task]) for task, wave in waves.items()]
    return torch.stack(losses).sum()
