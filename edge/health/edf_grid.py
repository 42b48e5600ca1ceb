"""The samples of an EDF file on their grid: placed by time, missing where nothing came, given out in data records.

EDF (edfplus.info/specs/edf.html) holds 16-bit numbers at fixed rates. The lowest number is kept for "no value": it
reads as a signal's physical minimum. A sample goes to the nearest place, at most half a sample away; none is made up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["MISSING", "DataRecord", "Grid", "Signal", "record_seconds"]

MISSING = -32768
"""The digital value of a place without a sample."""
_HELD_S = 60
"""Waves come some seconds after the look they belong to; what is later than this has no place any more."""
_JUMP_S = 86_400
_MAX_RECORD_S = 60

DataRecord = list[npt.NDArray[np.int16]]
"""One array for each signal."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal: ``low`` reads as no value, so values lie above it, up to ``high``; ``fs`` in samples a second."""

    label: str
    unit: str
    low: float
    high: float
    fs: float

    def digital(self, values: Sequence[float | None]) -> npt.NDArray[np.int16]:
        """``values`` as 16-bit numbers ``[N]``; MISSING for None."""
        given = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        steps = np.round((given - self.low) / (self.high - self.low) * 65535.0) + MISSING
        return np.where(np.isnan(given), MISSING, np.clip(steps, MISSING + 1, 32767)).astype(np.int16)


def record_seconds(rates: Sequence[float]) -> int | None:
    """The fewest whole seconds that hold a whole number of samples at each rate; None above 60, which EDF advises."""
    for seconds in range(1, _MAX_RECORD_S + 1):
        if all(abs(fs * seconds - round(fs * seconds)) < 1e-9 for fs in rates):
            return seconds
    return None


class Grid:
    """Signals from stream time ``begin_ns`` on, in data records of ``seconds``. Holds a minute of them.

    ``misplaced`` counts samples that came too late or lie a day ahead, ``doubled`` those that another replaced.
    """

    def __init__(self, signals: Sequence[Signal], seconds: int, begin_ns: int) -> None:
        self.misplaced = self.doubled = 0
        self._sizes = [round(signal.fs * seconds) for signal in signals]
        self._signals = tuple(signals)
        self._seconds = seconds
        self._begin_ns = begin_ns
        self._held: deque[DataRecord] = deque()
        self._first = 0

    def put(self, signal: int, at_ns: int, values: Sequence[float | None]) -> None:
        """Place samples of one signal, the first of which belongs to stream time ``at_ns``."""
        place = round((at_ns - self._begin_ns) * self._signals[signal].fs / 1e9)
        for number, one in enumerate(self._signals[signal].digital(values), place):
            if one != MISSING:
                self._set(signal, number, one)

    def full(self) -> Iterator[DataRecord]:
        """The data records for which nothing more is awaited, in order; each is given once."""
        while len(self._held) * self._seconds > _HELD_S:
            self._first += 1
            yield self._held.popleft()

    def rest(self) -> Iterator[DataRecord]:
        """All that is held."""
        while self._held:
            self._first += 1
            yield self._held.popleft()

    def _set(self, signal: int, number: int, one: np.int16) -> None:
        record, place = divmod(number, self._sizes[signal])
        ahead = record - self._first
        if ahead < 0 or (ahead - len(self._held)) * self._seconds > _JUMP_S:
            self.misplaced += 1
            return
        while ahead >= len(self._held):
            self._held.append([np.full(size, MISSING, np.int16) for size in self._sizes])
        into = self._held[ahead][signal]
        self.doubled += int(into[place] != MISSING)
        into[place] = one
