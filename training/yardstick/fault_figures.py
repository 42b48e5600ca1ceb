"""What the fault campaign comes to: how right, how often, how soon, and what a quality is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise

import msgspec
import numpy as np

from edge.metrics import LIMITS_PER_MIN
from edge.vitals import VALUE_STATES
from training.yardstick.fault_play import MODES, RATES, Played, Row
from training.yardstick.fault_scenes import KINDS, Scene
from training.yardstick.measure import SETTLE_S, WINDOW_S

__all__ = ["PARTS", "BeatLine", "Campaign", "FirstLine", "KindLine", "QualityLine", "campaign", "is_wrong"]

_LEFT_WITHIN_S = 2.0
QUALITIES = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Borders of the bands of ``sqi``; values under the first are ``low_quality``."""
PARTS: Mapping[str, tuple[int, ...]] = {
    "all": (0, 1), "all, gates mended on them": (0,), "all, looked at last": (1,),
}  # fmt: skip
"""Parts of the scenes, by :attr:`~training.yardstick.fault_scenes.Scene.number`. Only the last is held out."""
UNCERTAINTIES_MS = (0.0, 5.0, 10.0, 15.0, 20.0)


class KindLine(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of fault, mode and rate; or all kinds of a part of the scenes, by its name in :data:`PARTS`.

    ``coverage``: share of the due seconds before the fault that are ``ok``. ``ok``, ``ok_wrong``: all ``ok`` values,
    and those farther from the truth than the limit. ``mae`` of them, per minute. ``was_ok`` recordings were ``ok`` when
    the fault came and had to leave it; ``left_s`` is when each did, after the fault, None where it never did.
    ``told``: of ``of`` recordings in which a code had to be told while the fault lasted, those in which it was.
    """

    kind: str
    mode: str
    rate: str
    recordings: int
    coverage: float | None
    ok: int
    ok_wrong: int
    mae: float | None
    was_ok: int
    left_s: tuple[float | None, ...]
    told: int
    of: int

    @property
    def false_confidence(self) -> float | None:
        """Share of ``ok`` values that are wrong."""
        return self.ok_wrong / self.ok if self.ok else None

    @property
    def left_in_time(self) -> int:
        """How many left ``ok`` within two seconds."""
        return sum(left is not None and left <= _LEFT_WITHIN_S for left in self.left_s)


class FirstLine(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from the first frame until something came, of the recordings in which it came before the fault."""

    what: str
    mode: str
    recordings: int
    came: int
    median_s: float | None
    p90_s: float | None
    largest_s: float | None
    limit_s: float | None
    within: int | None


class QualityLine(msgspec.Struct, frozen=True, kw_only=True):
    """Values with ``low <= sqi < high`` (``at_least``: from ``low`` on), in the states ``ok`` and ``low_quality``."""

    rate: str
    mode: str
    low: float
    high: float
    looks: int
    recordings: int
    wrong: float | None
    mae: float | None
    at_least_looks: int
    at_least_wrong: float | None
    at_least_mae: float | None


class BeatLine(msgspec.Struct, frozen=True, kw_only=True):
    """Intervals whose stated uncertainty is in ``low_ms`` to ``high_ms``: their true errors, and those of RMSSD."""

    mode: str
    low_ms: float
    high_ms: float
    recordings: int
    intervals: int
    mae_ms: float | None
    rms_ms: float | None
    stated_ms: float | None
    rmssd: int
    rmssd_mae_ms: float | None
    true_rmssd_ms: float | None


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """The result. ``wrong_ok``: scene, mode, rate, time, value and truth of every ``ok`` value that is wrong."""

    format: int = 1
    notice: str = "research use, not a medical device; synthetic scenes are no patients"
    machine: str
    bundle: str
    front: str
    scenes: int
    kinds: tuple[KindLine, ...]
    first: tuple[FirstLine, ...]
    qualities: tuple[QualityLine, ...]
    beats: tuple[BeatLine, ...]
    wrong_ok: tuple[tuple[str, str, str, float, float, float], ...]


def campaign(done: Sequence[Played], *, machine: str, bundle: str, front: str) -> Campaign:
    """All figures."""
    return Campaign(
        machine=machine,
        bundle=bundle,
        front=front,
        scenes=len(done),
        kinds=tuple(
            _kind_line(kind, mode, rate, of_kind)
            for mode in MODES
            for rate in RATES
            for kind, of_kind in _parts(done)
            if of_kind
        ),
        first=tuple(_first_lines(done)),
        qualities=tuple(line for mode in MODES for rate in RATES for line in _quality_lines(done, mode, rate)),
        beats=tuple(line for mode in MODES for line in _beat_lines(done, mode)),
        wrong_ok=tuple(
            (one.scene.name, row.mode, row.rate, row.t_s, round(row.value or 0.0, 1), round(row.truth, 1))
            for one in done
            for row in one.rows
            if row.state == "ok" and is_wrong(row)
        ),
    )


def _parts(done: Sequence[Played]) -> Iterable[tuple[str, list[Played]]]:
    """By kind of fault, then by part of the scenes."""
    for kind in KINDS:
        yield kind, [one for one in done if one.scene.kind == kind]
    for name, numbers in PARTS.items():
        yield name, [one for one in done if one.scene.number in numbers]


def is_wrong(row: Row) -> bool:
    """Whether its value is farther from the truth than the limit."""
    return row.value is not None and abs(row.value - row.truth) > LIMITS_PER_MIN[row.rate]


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _of(done: Iterable[Played], mode: str, rate: str) -> list[tuple[Scene, list[Row]]]:
    """Scene and rows of each seat."""
    return [
        (one.scene, list(rows))
        for one in done
        for _, rows in groupby((row for row in one.rows if (row.mode, row.rate) == (mode, rate)), lambda row: row.seat)
    ]


def _kind_line(kind: str, mode: str, rate: str, done: Sequence[Played]) -> KindLine:
    seats = _of(done, mode, rate)
    due = [row.state == "ok" for scene, rows in seats for row in rows if _due_s(rate, scene) <= row.t_s < scene.at_s]
    ok = [row for _, rows in seats for row in rows if row.state == "ok"]
    left, told = [], []
    for scene, rows in seats:
        codes = getattr(KINDS[scene.kind], rate)
        if codes:
            left += _left_s(scene, rows)
            told.append(any(codes & set(row.why) for row in rows if _during(scene, row)))
    return KindLine(
        kind=kind,
        mode=mode,
        rate=rate,
        recordings=len(done),
        coverage=_mean([float(one) for one in due]),
        ok=len(ok),
        ok_wrong=sum(map(is_wrong, ok)),
        mae=_mean([abs((row.value or 0.0) - row.truth) for row in ok]),
        was_ok=len(left),
        left_s=tuple(left),
        told=sum(told),
        of=len(told),
    )


def _due_s(rate: str, scene: Scene) -> float:
    """From when on a value is due: the longest window is full. The fault comes before RR's is: then its last second."""
    return min(WINDOW_S[rate] + SETTLE_S, scene.at_s - 1.0)


def _during(scene: Scene, row: Row) -> bool:
    """While the fault lasts, and until 2 s after: a look tells of the second before it."""
    return scene.at_s <= row.t_s <= scene.at_s + scene.for_s + _LEFT_WITHIN_S


def _left_s(scene: Scene, rows: Sequence[Row]) -> list[float | None]:
    """When ``ok`` was left, in seconds after the fault; nothing where it was not ``ok`` when it came."""
    before = [row for row in rows if row.t_s <= scene.at_s]
    if not before or before[-1].state != "ok":
        return []
    after = (row.t_s - scene.at_s for row in rows if _during(scene, row) and row.state != "ok")
    return [next((round(left, 2) for left in after), None)]


# ------------------------------------------------------------------------------------------------------------ how soon


def _first_lines(done: Sequence[Played]) -> Iterable[FirstLine]:
    for mode in MODES:
        limit = 1.0 if mode == "stream" else None
        yield _first_line("wave", mode, [one.first_wave_s[mode] for one in done], limit)
        for rate, limit_s in (("hr", 9.0 if mode == "exact" else None), ("rr", None)):
            seats = _of(done, mode, rate)
            for what, states in (("value", VALUE_STATES), ("ok", {"ok"})):
                came = [
                    next((_since_s(rows, row) for row in rows if row.state in states and row.t_s <= scene.at_s), None)
                    for scene, rows in seats
                ]
                yield _first_line(f"{rate.upper()} {what}", mode, came, limit_s)


def _since_s(rows: Sequence[Row], row: Row) -> float:
    """Seconds since the first frame, one second before the first look."""
    return round(row.t_s - rows[0].t_s + 1.0, 3)


def _first_line(what: str, mode: str, came: Sequence[float | None], limit_s: float | None) -> FirstLine:
    times = [time for time in came if time is not None]
    median, p90, largest = (float(q) for q in np.quantile(times, (0.5, 0.9, 1.0))) if times else (None, None, None)
    within = None if limit_s is None else sum(time <= limit_s for time in times)
    return FirstLine(
        what=what, mode=mode, recordings=len(came), came=len(times), median_s=median, p90_s=p90, largest_s=largest,
        limit_s=limit_s, within=within,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------ what quality is worth


def _quality_lines(done: Sequence[Played], mode: str, rate: str) -> Iterable[QualityLine]:
    shown = [
        (one.scene.name, row)
        for one in done
        for row in one.rows
        if (row.mode, row.rate) == (mode, rate) and row.state in ("ok", "low_quality")
    ]
    borders = (0.0, *QUALITIES, 1.0)
    for low, high in pairwise(borders):
        top = high if high < 1.0 else 1.1
        inside = [(name, row) for name, row in shown if low <= row.sqi < top]
        over = [row for _, row in shown if row.sqi >= low]
        yield QualityLine(
            rate=rate, mode=mode, low=low, high=high, looks=len(inside), recordings=len({name for name, _ in inside}),
            wrong=_share(sum(is_wrong(row) for _, row in inside), len(inside)),
            mae=_mean([abs((row.value or 0.0) - row.truth) for _, row in inside]),
            at_least_looks=len(over), at_least_wrong=_share(sum(map(is_wrong, over)), len(over)),
            at_least_mae=_mean([abs((row.value or 0.0) - row.truth) for row in over]),
        )  # fmt: skip


def _beat_lines(done: Sequence[Played], mode: str) -> Iterable[BeatLine]:
    looks = [(one.scene.name, beats) for one in done for beats in one.beats if beats.mode == mode]
    bands = [*pairwise(UNCERTAINTIES_MS), (0.0, UNCERTAINTIES_MS[-1])]
    for low, high in bands:
        inside = [(name, one) for name, one in looks if low <= one.uncertainty_ms < high + 1e-9]
        errors = np.array([error for _, one in inside for error in one.errors_ms])
        stated = [one.uncertainty_ms**2 for _, one in inside for _ in one.errors_ms]
        rmssd = [(one.rmssd_ms, one.true_rmssd_ms) for _, one in inside if one.rmssd_ms is not None]
        yield BeatLine(
            mode=mode, low_ms=low, high_ms=high, recordings=len({name for name, _ in inside}), intervals=len(errors),
            mae_ms=_mean(np.abs(errors)), rms_ms=float(np.sqrt(np.mean(errors**2))) if len(errors) else None,
            stated_ms=float(np.sqrt(np.mean(stated))) if stated else None, rmssd=len(rmssd),
            rmssd_mae_ms=_mean([abs(read - true) for read, true in rmssd]),
            true_rmssd_ms=_mean([true for _, true in rmssd]),
        )  # fmt: skip
