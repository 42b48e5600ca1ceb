"""Which convolutions may be INT8: how much each costs alone, and which are dropped until the rates hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from export.agreement import Agreement, Infer
from export.forms_int8 import LayerRange

__all__ = ["Found", "Ranges", "Sensitivity", "greedy", "sensitivities"]

Ranges = Mapping[int, LayerRange]
Make = Callable[[Ranges], Infer]
"""A graph in which the convolutions with a range are INT8."""


class Sensitivity(msgspec.Struct, frozen=True):
    """What one convolution alone costs: for each task 1 less the Pearson correlation of its worst window."""

    number: int
    layer: str
    loss: dict[str, float]


class Found(msgspec.Struct, frozen=True):
    """The convolutions that stay INT8 and how the rates then agree; ``dropped`` in the order in which they went."""

    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    agreements: list[Agreement]


def sensitivities(
    make: Make, names: list[str], ranges: Ranges, reference: Infer, windows: Iterable[npt.NDArray[np.float32]]
) -> list[Sensitivity]:
    """Each convolution of ``ranges`` quantised alone, on ``windows`` ``[1, C, F, S, S]``; the worst first."""
    held = [(window, reference(window)) for window in windows]
    found = []
    for number, seen in ranges.items():
        infer = make({number: seen})
        loss = dict.fromkeys(held[0][1], 0.0)
        for window, wanted in held:
            for task, wave in infer(window).items():
                loss[task] = max(loss[task], 1.0 - float(np.corrcoef(wave[0], wanted[task][0])[0, 1]))
        found.append(Sensitivity(number, names[number], {task: float(f"{value:.3g}") for task, value in loss.items()}))
    return sorted(found, key=lambda one: -max(one.loss.values()))


def greedy(ranges: Ranges, table: list[Sensitivity], judge: Callable[[Ranges], list[Agreement]]) -> Found:
    """From all in INT8, drop the convolution that costs a failing task most, until every rate holds or none is left."""
    kept = dict(ranges)
    dropped: list[int] = []
    while True:
        agreements = judge(kept)
        failing = [one.task for one in agreements if one.judged and not one.holds]
        if not failing or not kept:
            return Found(tuple(kept), tuple(dropped), agreements)
        left = [one for one in table if one.number in kept]
        worst = max(left, key=lambda one: max(one.loss[task] for task in failing))
        dropped.append(worst.number)
        del kept[worst.number]
