"""How far rates were from the truth of a synthetic scene, and for how much of the time there was one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge.sinks.records import Rate
from edge.vitals import Truth

__all__ = ["Tally", "truth_over"]


@dataclass(slots=True)
class Tally:
    """Sums over the records of one rate."""

    records: int = 0
    values: int = 0
    ok: int = 0
    _error_sum: float = 0.0
    _errors: int = 0
    _ok_error_sum: float = 0.0
    _ok_errors: int = 0

    def add(self, rate: Rate, truth_per_min: float | None) -> None:
        """Count one record; ``truth_per_min`` None when nobody knows."""
        self.records += 1
        self.ok += rate.state == "ok"
        if rate.value is None:
            return
        self.values += 1
        if truth_per_min is None:
            return
        error = abs(rate.value - truth_per_min)
        self._error_sum += error
        self._errors += 1
        if rate.state == "ok":
            self._ok_error_sum += error
            self._ok_errors += 1

    def text(self) -> str:
        """Coverage and mean absolute errors in a few words."""
        in_ok = f"ok {_share(self.ok, self.records)} of the time{_mean(self._ok_error_sum, self._ok_errors)}"
        return f"{in_ok}; any value {_share(self.values, self.records)}{_mean(self._error_sum, self._errors)}"


def truth_over(truth: Callable[[int], Truth | None] | None, pts_ns: int, window_s: float) -> Truth | None:
    """The mean truth of the ``window_s`` before ``pts_ns``, one look a second: what an estimate over it should give."""
    if truth is None:
        return None
    looks = [truth(pts_ns - second * 10**9) for second in range(max(1, round(window_s)))]
    known = [look for look in looks if look is not None]
    if not known:
        return None
    return Truth(sum(t.hr_per_min for t in known) / len(known), sum(t.rr_per_min for t in known) / len(known))


def _mean(error_sum: float, errors: int) -> str:
    return f", mean error {error_sum / errors:.1f} /min" if errors else ""


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"
