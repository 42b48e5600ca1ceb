"""``mmrphys evaluate``: what is asked for, measured through the deployed chain, as one result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge.benchmarks.machine import machine
from edge.errors import InputError, UsageError
from edge.metrics import LIMITS_PER_MIN
from edge.uri import nearest
from training.yardstick.distribution import HR, LEVELS, RR, SPLITS, STORE, recordings
from training.yardstick.figures import Figure, figures_from_rows
from training.yardstick.measure import Row, rows_of_tape, with_constant
from training.yardstick.networks import Choice, opened
from training.yardstick.perturbed import CASES
from training.yardstick.sources import MAIN, OnProgress, Plan, Source, file_sha256, rows_of
from training.yardstick.stated import StatedLine, stated_from_rows
from training.yardstick.tape import front_fingerprint

__all__ = ["Evaluation", "Measurement", "evaluate", "facts_of", "reference_file", "sources_from_words"]

CONSTANTS: dict[str, dict[str, float]] = {
    "constant": {"hr": round((HR[0] * HR[1]) ** 0.5, 1), "rr": round(0.5 * (RR[0] + RR[1]), 1)},
    "luckiest": {"hr": HR[0] + LIMITS_PER_MIN["hr"], "rr": RR[0] + LIMITS_PER_MIN["rr"]},
}
"""Guesses that know only the distribution, per minute: its median, which has the least MAE, and the one most often
within the limit, because HR is drawn evenly over its logarithm."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, with what and where: the head of every protocol's result.

    ``data`` tells what was asked for (``test:moderate,real``), ``counts`` how many recordings or cases each part has,
    ``networks`` name and identity of each network. The hashes are those of the distributions, of the code in front of
    the model, and of the real clip where it was used.
    """

    format: int = 1
    protocol: str
    notice: str = "research use, not a medical device; synthetic scenes are no patients"
    machine: str
    networks: dict[str, dict[str, str]]
    data: str
    counts: dict[str, int]
    distributions_sha256: str
    front: str
    clip_sha256: str | None

    @property
    def data_in_words(self) -> str:
        """What was asked for, and how much of it there is."""
        counts = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        return f"Protocol {self.protocol}, data {self.data}: {counts}."

    @property
    def networks_in_words(self) -> str:
        """Every network with its identity."""
        named = "; ".join(f"{method}: {one['name']} ({one['id'][:19]})" for method, one in self.networks.items())
        return f"Networks: {named}."


class Evaluation(Measurement, frozen=True, kw_only=True):
    """The result of protocol ``deployed``. Reports from before uncertainties were judged have no ``stated``."""

    protocol: str = "deployed"
    constants_per_min: dict[str, dict[str, float]]
    figures: list[Figure]
    stated: list[StatedLine] = []


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
    split, colon, listed = data.partition(":")
    words = listed.split(",")
    if not colon or split not in SPLITS:
        raise UsageError(f"--data {data!r}: want SPLIT:PART,PART with SPLIT one of {', '.join(SPLITS)}")
    if len(set(words)) < len(words):
        raise UsageError(f"--data {data!r} names a part twice; name each once")
    if "real" in words and split != "test":
        raise UsageError(f"--data {data!r}: the real clip is for figures, not for choices; ask for test:real")
    found: list[Source] = []
    for word in words:
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
    data: str,
    sources: Sequence[Source],
    beside: Mapping[str, Choice],
    tapes: Path,
    on_progress: OnProgress,
) -> tuple[Evaluation, list[Row]] | None:
    """Measure ``chosen`` on ``sources``, which ``data`` named, and the networks ``beside`` it by their methods' names.

    ``tapes`` is the folder in which the part in front of the model is kept; None when interrupted, and the same call
    goes on. A network that cannot be used is raised before anything is measured: the errors of
    :func:`training.yardstick.networks.opened`.
    """
    networks = {MAIN: chosen, **beside}
    facts = facts_of(networks, data, sources)
    rows: list[Row] | None = rows_of(Plan(tuple(sources), networks, tapes), rows_of_tape, on_progress)
    if rows is None:
        return None
    rows += [row for method, guess in CONSTANTS.items() for row in with_constant(rows, method, guess)]
    figures, stated = figures_from_rows(rows), stated_from_rows(rows)
    return Evaluation(constants_per_min=CONSTANTS, figures=figures, stated=stated, **facts), rows


def facts_of(networks: Mapping[str, Choice], data: str, sources: Sequence[Source]) -> dict[str, Any]:
    """What a :class:`Measurement` tells of what is about to be measured."""
    clips = {source.clip for source in sources if source.clip}
    return {
        "machine": machine(),
        "networks": {method: _named(choice) for method, choice in networks.items()},
        "data": data,
        "counts": dict(Counter(source.data for source in sources)),
        "distributions_sha256": file_sha256(str(STORE)),
        "front": front_fingerprint(),
        "clip_sha256": file_sha256(clips.pop()) if clips else None,
    }


def _named(choice: Choice) -> dict[str, Any]:
    bundle = opened(choice).bundle
    return {"name": bundle.manifest.name, "id": bundle.id}
