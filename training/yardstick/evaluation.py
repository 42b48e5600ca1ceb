"""``mmrphys evaluate``: what is asked for, measured, as one result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge.benchmarks.machine import machine
from edge.errors import InputError, UsageError
from edge.uri import nearest
from training.workers import cpu_count, workers
from training.yardstick.distribution import HR, LEVELS, RR, SPLITS, STORE, recordings
from training.yardstick.figures import Figure, figures_from_rows
from training.yardstick.measure import MAIN, Plan, Row, Source, make_tapes, measure, with_constant
from training.yardstick.networks import Choice, opened
from training.yardstick.perturbed import CASES
from training.yardstick.tape import front_fingerprint

__all__ = ["Evaluation", "evaluate", "reference_file", "sources_from_words"]

CONSTANT_PER_MIN = {"hr": round((HR[0] * HR[1]) ** 0.5, 1), "rr": round(0.5 * (RR[0] + RR[1]), 1)}
"""The middle of what is drawn: the constant guess that is right most often."""
RANDOM_SEED = 0


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, with what and where. ``networks`` names each network and its identity; ``data`` its parts."""

    format: int = 1
    protocol: str = "deployed"
    notice: str = "research use, not a medical device; synthetic scenes are no patients"
    machine: str
    networks: dict[str, dict[str, str]]
    data: dict[str, int]
    distributions_sha256: str
    front: str
    constant_per_min: dict[str, float]
    figures: list[Figure]


def reference_file(name: str) -> Path | None:
    """A file of the reference data that lies in ``shared/`` beside a checkout; None where it is absent."""
    path = Path(__file__).resolve().parents[3] / "shared" / name
    return path if path.is_file() else None


def sources_from_words(data: str, clip: Path | None) -> tuple[Source, ...]:
    """What ``SPLIT:PART,PART,...`` means; ``real`` among the parts is the perturbed real clip in the file ``clip``.

    Raises
    ------
    UsageError
        An unknown split or part, or ``real`` without a clip.
    """
    split, colon, words = data.partition(":")
    if not colon or split not in SPLITS:
        raise UsageError(f"--data {data!r}: want SPLIT:PART,PART with SPLIT one of {', '.join(SPLITS)}")
    found: list[Source] = []
    for word in words.split(","):
        if word == "real":
            found += _real(clip)
        elif word in LEVELS:
            found += [Source(word, recording) for recording in recordings(split, word)]
        else:
            raise UsageError(f"--data: there is no part {word!r}{nearest(word, (*LEVELS, 'real'))}")
    return tuple(found)


def _real(clip: Path | None) -> list[Source]:
    if clip is None:
        raise UsageError("--data: real needs the clip; name it with --clip face.mp4, or leave real out")
    if not clip.is_file():
        raise InputError(f"--clip {clip}: there is no such file; check the path")
    return [Source("real", None, case.name, str(clip.resolve())) for case in CASES]


def evaluate(
    chosen: Choice,
    sources: Sequence[Source],
    published: Path | None,
    tapes: Path,
    on_progress: Callable[[str, int, int, str], None],
) -> tuple[Evaluation, list[Row]] | None:
    """Measure ``chosen`` beside POS, the published graph (where given), random weights and a constant guess.

    ``tapes`` is the folder in which the part in front of the model is kept; None when interrupted, and the same call
    goes on. The errors of :func:`training.yardstick.networks.opened` are raised before anything is measured.
    """
    networks = {MAIN: chosen, "random": Choice("random", seed=RANDOM_SEED, like=chosen)}
    if published is not None:
        networks["published"] = Choice("published", str(published))
    named = {method: _named(choice) for method, choice in networks.items()}
    plan = Plan(tuple(sources), networks, tapes)
    with workers(cpu_count(), "training.yardstick.measure") as pool:
        make_tapes(pool, plan, on_progress)
        rows = measure(pool, plan, on_progress) if not pool.stopped else []
        if pool.stopped:
            return None
    rows = [*rows, *with_constant(rows, CONSTANT_PER_MIN)]
    counts: dict[str, int] = {}
    for source in sources:
        counts[source.data] = counts.get(source.data, 0) + 1
    result = Evaluation(
        machine=machine(), networks=named, data=counts, front=front_fingerprint(),
        distributions_sha256=hashlib.sha256(STORE.read_bytes()).hexdigest(), constant_per_min=CONSTANT_PER_MIN,
        figures=figures_from_rows(rows),
    )  # fmt: skip
    return result, rows


def _named(choice: Choice) -> dict[str, Any]:
    bundle = opened(choice).bundle
    return {"name": bundle.manifest.name, "id": bundle.id}
