"""What a system of others may read from a rate: a value, a doubtful one apart, or why there is none.

Receivers tend to take any number in the place of the value for good, whatever flags stand beside it. So only ``ok`` is
a value there; ``low_quality`` and ``hold`` go, where a format has room, under a code of ours that nobody reads by
mistake, and the place of the value says that there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge.sinks.records import Rate
from edge.vitals import State

__all__ = ["Absent", "Reading", "reading_from_rate"]

Absent = Literal["error", "not-performed", "temp-unknown", "unknown"]
"""Codes of http://terminology.hl7.org/CodeSystem/data-absent-reason.

``error``: a process error means that there is no information; ``not-performed``: the observation was not made;
``temp-unknown``: the value is expected to become known; ``unknown``: a value exists and is not known.
"""

_ABSENT: dict[State, Absent] = {
    "fault": "error",
    "camera_lost": "error",
    "thermal_lost": "error",
    "stale": "error",
    "no_face": "not-performed",
    "starting": "temp-unknown",
    "hold": "temp-unknown",
    "lost": "unknown",
    "low_quality": "unknown",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A rate per minute: ``value`` when it was ``ok``, else ``absent`` says why not.

    ``doubtful`` is the number of ``low_quality`` and ``hold``.
    """

    value: float | None
    doubtful: float | None
    absent: Absent | None


def reading_from_rate(rate: Rate) -> Reading:
    """What may be read from ``rate``."""
    if rate.state == "ok":
        return Reading(rate.value, None, None)
    return Reading(None, rate.value, _ABSENT[rate.state])
