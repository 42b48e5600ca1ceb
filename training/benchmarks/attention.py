"""Attention in training: its closed forms beside the published updates, forward and backward, on one CPU thread.

    python -m training.benchmarks.attention

``X`` is what the model makes of a batch of four clips of 180 samples at 72 x 72 and 9 x 9. Times are process CPU time;
each round runs both forms once, in turn, so that a busy machine slows both alike, and ratios are taken within rounds.
Memory is, ``X`` not counted, the most that one forward and backward holds at a time, by torch's profiler, and what
the forward pass keeps for the backward one. Differences are relative to the largest value. Last comes a whole branch in
which attention stands: BVP at 9 x 9.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
import typer
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from edge.benchmarks.machine import machine
from training.attention import AttentionSpec, approximate, targets_from_labels
from training.model import Mmrphys, ModelSpec

__all__ = ["Comparison", "Memory", "branch_ms", "compared", "kept_bytes", "main", "peak_bytes"]

BATCH, STEPS, WARM_UP = 4, 4, 3
SHAPES = {
    "BVP at 72": (180, 8 * 11 * 11),
    "BVP at 9": (180, 8 * 7 * 7),
    "RSP at 72": (45, 8 * 10 * 10),
    "RSP at 9": (45, 8 * 9 * 9),
}
"""Rows and columns of ``X``: samples, and 8 maps of so many pixels."""
KINDS = {"tsfm": 1, "tsfm, 3 labels": 3, "fsam": 0}
"""Each kind of attention and how many labels constrain it."""

Pass = Callable[[], tuple[Tensor, Tensor]]
"""One forward and backward: the approximation of ``X``, and the gradient of ``X``."""
Spread = tuple[float, float, float]
"""Median, lower and upper quartile."""


class Memory(msgspec.Struct, frozen=True):
    """The most that is held at a time, and what is kept for the backward pass."""

    peak_mb: float
    kept_kb: float


class Comparison(msgspec.Struct, frozen=True):
    """One kind at one shape; ``updates_*`` and what follows is None where updates cannot do it.

    ``ratio`` is the time of the updates over that of the closed form.
    """

    x: str
    kind: str
    closed_ms: Spread
    closed_memory: Memory
    updates_ms: Spread | None = None
    updates_memory: Memory | None = None
    ratio: Spread | None = None
    difference: float | None = None
    gradient_difference: float | None = None


def compared(x: str, shape: tuple[int, int], kind: str, rounds: int) -> Comparison:
    """Both forms of ``kind`` on one seeded ``X`` of ``shape``."""
    closed = _pass(shape, kind, "closed")
    if KINDS[kind] > 1:
        times_ms = _interleaved_ms([closed], rounds)
        return Comparison(x, kind, _spread(times_ms[0]), _memory(closed))
    updates = _pass(shape, kind, "iterative")
    times_ms = _interleaved_ms([closed, updates], rounds)
    differences = [_difference(a, b) for a, b in zip(closed(), updates(), strict=True)]
    return Comparison(
        x,
        kind,
        _spread(times_ms[0]),
        _memory(closed),
        _spread(times_ms[1]),
        _memory(updates),
        _spread(times_ms[1] / times_ms[0]),
        *differences,
    )


def _pass(shape: tuple[int, int], kind: str, form: str) -> Pass:
    rows, columns = shape
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH, rows, columns, generator=generator).relu().requires_grad_()
    upstream = torch.randn(BATCH, rows, columns, generator=generator)
    labels = {str(n): torch.randn(BATCH, rows, generator=generator).cumsum(dim=1) for n in range(KINDS[kind])}
    spec = AttentionSpec(kind.partition(",")[0], form=form, steps=STEPS)  # type: ignore[arg-type]  # plain words
    targets = targets_from_labels(labels, "0", rows, "all") if labels else None

    def forward_and_backward() -> tuple[Tensor, Tensor]:
        kept = approximate(x, spec, targets)
        (gradient,) = torch.autograd.grad(kept, x, upstream)
        return kept.detach(), gradient

    return forward_and_backward


def branch_ms(rounds: int) -> dict[str, Spread]:
    """Forward and backward of the BVP branch at 9 x 9 without attention, and with either form of TSFM."""
    forms = {"without": None, "closed": AttentionSpec(), "updates": AttentionSpec(form="iterative")}
    times_ms = _interleaved_ms([_branch_pass(attention) for attention in forms.values()], rounds)
    return {name: _spread(times) for name, times in zip(forms, times_ms, strict=True)}


def _branch_pass(attention: AttentionSpec | None) -> Callable[[], object]:
    generator = torch.Generator().manual_seed(0)
    model = Mmrphys(ModelSpec(9, "EF", 3, ("bvp",)), attention).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    frames = 255.0 * torch.rand(BATCH, 3, 181, 9, 9, generator=generator)
    labels = {"bvp": torch.randn(BATCH, 180, generator=generator)}

    def forward_and_backward() -> None:
        model.zero_grad()
        model(frames, labels)["bvp"].sum().backward()

    return forward_and_backward


def _interleaved_ms(
    passes: Sequence[Callable[[], object]], rounds: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """CPU time ``[pass, round]``."""
    times_ms = np.zeros((len(passes), WARM_UP + rounds))
    for k in range(WARM_UP + rounds):
        for times, one in zip(times_ms, passes, strict=True):
            start = time.process_time()
            one()
            times[k] = 1e3 * (time.process_time() - start)
    return times_ms[:, WARM_UP:]


def peak_bytes(call: Callable[[], object]) -> int:
    """The most that ``call`` holds at a time in memory that torch gave it on the CPU."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        call()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(path))
        events = json.loads(path.read_bytes())["traceEvents"]
    changes = [(event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]"]
    return int(np.cumsum([change for _, change in sorted(changes, key=lambda one: one[0])]).max(initial=0))


def kept_bytes(call: Callable[[], object]) -> int:
    """What the forward passes in ``call`` keep for backward ones, leaves not counted."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if not (tensor.is_leaf and tensor.requires_grad):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        call()
    return sum(kept.values())


def _memory(one: Pass) -> Memory:
    return Memory(round(peak_bytes(one) * 1e-6, 2), round(kept_bytes(one) * 1e-3, 1))


def _spread(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Spread:
    median, low, high = np.quantile(values, (0.5, 0.25, 0.75)).tolist()
    return round(median, 3), round(low, 3), round(high, 3)


def _difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def main() -> None:
    """Print the table, or JSON with ``--json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(1)
    compared(*next(iter(SHAPES.items())), "tsfm", 1)  # else the first row alone would pay for a heap that still grows
    found = [compared(x, shape, kind, options.rounds) for x, shape in SHAPES.items() for kind in KINDS]
    branch = branch_ms(options.rounds)
    where = f"{machine()}, torch {torch.__version__}, one thread; {BATCH} clips, {STEPS} steps, {options.rounds} rounds"
    if options.json:
        typer.echo(msgspec.json.encode({"machine": where, "comparisons": found, "branch_ms": branch}).decode())
        return
    typer.echo(f"{where}\n")
    heads = (
        "`X`", "attention", "closed, ms", "updates, ms", "times as long", "closed, memory", "updates, memory",
        "difference", "of gradients",
    )  # fmt: skip
    typer.echo(_line(heads))
    typer.echo(_line(["---"] * len(heads)))
    for one in found:
        typer.echo(_line(_cells(one)))
    words = ", ".join(f"{_words(times)} {name}" for name, times in branch.items())
    typer.echo(f"\nThe whole BVP branch at 9 x 9 with TSFM, ms: {words}.")


def _cells(one: Comparison) -> Iterator[str]:
    rows, columns = SHAPES[one.x]
    yield from (f"{one.x}, {rows} x {columns}", one.kind)
    yield from map(_words, (one.closed_ms, one.updates_ms, one.ratio))
    for memory in (one.closed_memory, one.updates_memory):
        yield "" if memory is None else f"{memory.peak_mb:.1f} MB, {memory.kept_kb:.0f} kB kept"
    yield from ("" if value is None else f"{value:.0e}" for value in (one.difference, one.gradient_difference))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _words(values: Spread | None) -> str:
    return "" if values is None else "{:.2f} ({:.2f}-{:.2f})".format(*values)


if __name__ == "__main__":
    main()
