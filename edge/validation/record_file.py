"""The kit's side: numerics of a file written by the sink ``jsonl:``, and what they say look by look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import InputError, UsageError
from edge.sinks.clocks import keeps_step
from edge.sinks.records import Numerics, Rate, decode
from edge.validation.source import Source, SourceLines

__all__ = ["Looks", "RateLooks", "RecordFile", "looks_from_numerics", "numerics_of_one", "records_from_jsonl"]

Floats = npt.NDArray[np.float64]

_WANTED = "want records of mmrphys run --sink jsonl:FILE"
_CLOCK_STEP_S = 1.0


@dataclass(frozen=True, slots=True)
class RecordFile:
    """The numerics of a file in its order, and how many of its lines were cut short."""

    source: Source
    numerics: tuple[Numerics, ...]
    torn: int


@dataclass(frozen=True, slots=True, eq=False)
class RateLooks:
    """One rate look by look ``[N]``: ``value`` per minute (NaN: none), its state and reasons, and what it looked at."""

    value: Floats
    state: npt.NDArray[np.str_]
    window_s: Floats
    age_s: Floats
    why: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """One person's looks in order of time ``[N]``.

    ``time_s`` is seconds since 1970 on the kit's clock where the source was ``live``, else stream time: a file that was
    played faster or slower than life has no time of day.
    """

    time_s: Floats
    live: bool
    rates: dict[str, RateLooks]
    notices: tuple[str, ...]


def records_from_jsonl(path: Path) -> RecordFile:
    """Read a file; InputError when it is unreadable, empty, of another kind, or holds no numerics.

    Lines that are cut short (a crash, a full disk, a copy of a file that still grows) are skipped and counted.
    """
    lines = SourceLines(path, _WANTED)
    found, torn = [], 0
    for number, line in enumerate(lines, 1):
        try:
            record = decode(line) if line.strip() else None
        except msgspec.ValidationError as error:
            raise InputError(f"{path}:{number}: no record of version 1: {error}; {_WANTED}") from error
        except (msgspec.DecodeError, UnicodeDecodeError):
            torn += 1
            continue
        if isinstance(record, Numerics):
            found.append(record)
    if not found:
        raise InputError(f"{path} holds no numerics records; {_WANTED}")
    return RecordFile(lines.source(), tuple(found), torn)


def numerics_of_one(numerics: Iterable[Numerics], zone: str | None, person: int | None) -> list[Numerics]:
    """The records of one person in one zone, each once, run by run in the order of their making.

    Raises
    ------
    InputError
        The records are of several devices, whose clocks differ.
    UsageError
        There are several zones or persons and none is named, or the one that is named is not there.
    """
    records = {(one.boot, one.seq): one for one in numerics}
    devices = sorted({one.device for one in records.values()})
    if len(devices) > 1:
        raise InputError(f"the records are of {len(devices)} devices ({', '.join(devices)}); want one; split the file")
    in_zone = _only(list(records.values()), "zone", zone)
    chosen = _only(in_zone, "person", person)
    order = {boot: place for place, boot in enumerate(dict.fromkeys(one.boot for one in chosen))}
    return sorted(chosen, key=lambda one: (order[one.boot], one.seq))


def _only(records: list[Numerics], what: str, wanted: str | int | None) -> list[Numerics]:
    counts = Counter(getattr(one, what) for one in records)
    seen = ", ".join(f"{value} ({count} looks)" for value, count in counts.most_common(8))
    if wanted is None and len(counts) > 1:
        raise UsageError(f"the records hold several {what}s: {seen}; choose one with --{what}")
    if wanted is not None and wanted not in counts:
        raise UsageError(f"--{what} {wanted}: the records hold no such {what}; seen {seen}")
    return [one for one in records if wanted is None or getattr(one, what) == wanted]


def looks_from_numerics(records: Sequence[Numerics]) -> Looks:
    """The looks of one person's records, at least one; InputError when runs have no common clock."""
    runs: dict[str, list[Numerics]] = {}
    for one in records:
        runs.setdefault(one.boot, []).append(one)
    boots = list(runs.values())
    live = [_keeps_step(boot) for boot in boots]
    if len(boots) > 1 and not all(live):
        raise InputError(
            f"the records hold {len(boots)} runs, {live.count(False)} of them over files played faster or slower than "
            "life, so that no clock joins them; want one such run; give each its own file"
        )
    times = np.concatenate([_live_times(boot) if all(live) else _seconds(boot, "pts_ns") for boot in boots])
    order = np.argsort(times, kind="stable")
    joined = list(chain.from_iterable(boots))
    ordered = [joined[i] for i in order]
    rates = {"hr": _rate_looks([one.hr for one in ordered]), "rr": _rate_looks([one.rr for one in ordered])}
    return Looks(times[order], all(live), rates, tuple(_clock_notices(boots, all(live))))


def _seconds(boot: Sequence[Numerics], field: str) -> Floats:
    return np.array([getattr(one, field) for one in boot], dtype=np.float64) / 1e9


def _keeps_step(boot: Sequence[Numerics]) -> bool:
    """Whether stream time passed as fast as the monotonic clock."""
    stream_s, made_s = (float(np.ptp(_seconds(boot, field))) for field in ("pts_ns", "mono_ns"))
    return keeps_step(stream_s, made_s)


def _wall_times(boot: Sequence[Numerics]) -> Floats:
    try:
        moments = [datetime.fromisoformat(one.time.removesuffix("Z")).replace(tzinfo=timezone.utc) for one in boot]
    except ValueError as error:
        raise InputError(f"a record has a time that does not exist: {error}; {_WANTED}") from error
    return np.array([moment.timestamp() for moment in moments], dtype=np.float64)


def _live_times(boot: Sequence[Numerics]) -> Floats:
    """Stream time, moved as a whole to the wall clock as most records saw it, of those whose clock was synced if any.

    Stream time is the driver's stamp: it neither waits for the processor nor steps when somebody sets the clock.
    """
    stream_s = _seconds(boot, "pts_ns")
    ahead_s = _wall_times(boot) - stream_s
    synced = np.array([one.clock == "synced" for one in boot])
    return stream_s + float(np.median(ahead_s[synced] if synced.any() else ahead_s))


def _clock_notices(boots: Sequence[Sequence[Numerics]], live: bool) -> Iterator[str]:
    if not live:
        yield (
            "The records come from a file played faster or slower than life: their time of day means nothing, and "
            "stream time was used."
        )
        return
    if any(one.clock == "free" for boot in boots for one in boot):
        yield "The kit's clock did not follow a time server all the time (clock: free)."
    steps = [float(np.ptp(_wall_times(boot) - _seconds(boot, "mono_ns"))) for boot in boots]
    if max(steps) > _CLOCK_STEP_S:
        yield f"The kit's clock was set while it ran, by up to {max(steps):.0f} s; the frames' own times were used."


def _rate_looks(rates: Sequence[Rate]) -> RateLooks:
    return RateLooks(
        np.array([np.nan if one.value is None else one.value for one in rates], dtype=np.float64),
        np.array([one.state for one in rates], dtype=np.str_),
        np.array([one.window_s for one in rates], dtype=np.float64),
        np.array([one.age_ms / 1000.0 for one in rates], dtype=np.float64),
        tuple(one.why for one in rates),
    )
