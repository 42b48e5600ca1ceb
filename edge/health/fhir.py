"""FHIR R4 Observations from records (hl7.org/fhir/R4/observation.html, observation-vitalsigns.html, SampledData).

A rate becomes one Observation a second, a wave block one with SampledData. What clinical systems have no code for
stands under codes of ours, whose system ``urn:mmrphys:...`` marks them as local. The profile of vital signs is claimed
where all that it asks for is known: whose rate it is, and when. ``id`` and ``identifier`` follow from the record's
identity, so that what arrives twice is found.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from edge.health.survey import Choice, Run
from edge.sinks.clocks import ns_from_rfc3339, rfc3339_from_ns
from edge.sinks.reading import reading_from_rate
from edge.sinks.records import CODES, NOTICE, Numerics, Rate, Record, Wave
from edge.vitals import REASONS

__all__ = ["LOCAL", "observations"]

LOCAL = "urn:mmrphys:codes"
"""The system of codes that are ours alone."""
_LOINC = "http://loinc.org"
_MDC = "urn:iso:std:iso:11073:10101"
_UCUM = "http://unitsofmeasure.org"
_TERMS = "http://terminology.hl7.org/CodeSystem"
_PROFILE = "http://hl7.org/fhir/StructureDefinition"
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:mmrphys:record:1")
_NAMES = {"hr": ("Heart rate", "heartrate"), "rr": ("Respiratory rate", "resprate")}
"""Display of the LOINC code, and the profile of vital signs."""
_WAVES = {
    "pleth": {"coding": [{"system": _MDC, "code": "150452", "display": "MDC_PULS_OXIM_PLETH"}]},
    "resp": {"coding": [{"system": LOCAL, "code": "resp-wave", "display": "breathing wave of a camera (local code)"}]},
}
_FREE = "The device's clock did not follow a time server: when this was is not known."
_PLAYED = "The device played a recording or a scene: when this was is not known."


def observations(record: Record, run: Run, choice: Choice) -> Iterator[dict[str, Any]]:
    """The Observations of one record, JSON-ready; none when it is no measurement or was not chosen."""
    if not choice.takes(record):
        return
    if isinstance(record, Numerics):
        yield _of_rate("hr", record.hr, record, run, choice)
        yield _of_rate("rr", record.rr, record, run, choice)
    elif isinstance(record, Wave):
        yield _of_wave(record, run, choice)


def _of_rate(name: str, rate: Rate, record: Numerics, run: Run, choice: Choice) -> dict[str, Any]:
    reading = reading_from_rate(rate)
    when = _window(rate, record, run)
    profile = _profiles(_NAMES[name][1], claimed=choice.subject is not None and when is not None)
    return {
        **_head(name, record, run, choice, profile),
        "status": "preliminary" if reading.doubtful is not None else "final",
        "category": [{"coding": [{"system": f"{_TERMS}/observation-category", "code": "vital-signs"}]}],
        "code": _rate_code(name),
        **_effective(when),
        **_value(reading.value, reading.absent),
        "note": _notes(record, run),
        "component": list(_components(rate, reading.doubtful)),
    }


def _of_wave(record: Wave, run: Run, choice: Choice) -> dict[str, Any]:
    begin_ns = run.wall_ns(record.t0_ns) if record.clock == "synced" else None
    when = None if begin_ns is None else (begin_ns, begin_ns + round(len(record.samples) / record.fs * 1e9))
    state = [_component("state", _local(record.state))] if isinstance(record.state, str) else []
    return {
        **_head(record.wave, record, run, choice, {}),
        "status": "final" if record.state == "ok" else "preliminary",  # mode exact does not judge waves
        "code": _WAVES[record.wave],
        **_effective(when),
        **_samples(record),
        "note": _notes(record, run),
        **({"component": state} if state else {}),
    }


def _head(what: str, record: Numerics | Wave, run: Run, choice: Choice, profile: dict[str, Any]) -> dict[str, Any]:
    identity = f"{record.device}/{record.boot}/{record.seq}/{what}"
    test = [{"system": f"{_TERMS}/v3-ActReason", "code": "HTEST", "display": "test health data"}]
    meta = {**profile, **({"security": test} if run.scene else {})}
    return {
        "resourceType": "Observation",
        "id": str(uuid.uuid5(_SPACE, identity)),
        **({"meta": meta} if meta else {}),
        "extension": [
            {"url": "urn:mmrphys:fhir:zone", "valueString": record.zone},
            {"url": "urn:mmrphys:fhir:person", "valueInteger": record.person},
        ],
        "identifier": [{"system": "urn:mmrphys:record", "value": identity}],
        **({} if choice.subject is None else {"subject": {"reference": choice.subject}}),
        "device": {"identifier": {"system": "urn:mmrphys:device", "value": record.device}, "display": record.device},
        "method": {"text": "from a camera, without contact"},
    }


def _profiles(name: str, *, claimed: bool) -> dict[str, Any]:
    return {"profile": [f"{_PROFILE}/vitalsigns", f"{_PROFILE}/{name}"]} if claimed else {}


def _rate_code(name: str) -> dict[str, Any]:
    code = CODES[name]
    return {
        "coding": [
            {"system": _LOINC, "code": code.loinc, "display": _NAMES[name][0]},
            {"system": _MDC, "code": str(code.mdc)},
        ],
        "text": "pulse rate, optical" if name == "hr" else "breathing rate",
    }


def _window(rate: Rate, record: Numerics, run: Run) -> tuple[int, int] | None:
    """Begin and end, ns since 1970, of what the rate was averaged over; None where nobody knows."""
    if record.clock != "synced" or not run.live:
        return None
    end_ns = ns_from_rfc3339(record.time) - rate.age_ms * 10**6
    return end_ns - round(rate.window_s * 1e9), end_ns


def _effective(when: tuple[int, int] | None) -> dict[str, Any]:
    if when is None:
        unknown = {"url": f"{_PROFILE}/data-absent-reason", "valueCode": "unknown"}
        return {"_effectiveDateTime": {"extension": [unknown]}}
    begin, end = (rfc3339_from_ns(moment) for moment in when)
    return {"effectivePeriod": {"start": begin, "end": end}} if begin < end else {"effectiveDateTime": end}


def _value(value: float | None, absent: str | None) -> dict[str, Any]:
    if value is not None:
        return {"valueQuantity": _per_min(value)}
    return {"dataAbsentReason": {"coding": [{"system": f"{_TERMS}/data-absent-reason", "code": absent}]}}


def _per_min(value: float) -> dict[str, Any]:
    unit = CODES["hr"].ucum
    return {"value": value, "unit": unit, "system": _UCUM, "code": unit}


def _components(rate: Rate, doubtful: float | None) -> Iterator[dict[str, Any]]:
    """State and quality, the reasons, and a rate that must not be read as good; all under local codes."""
    yield _component("state", _local(rate.state))
    yield _component("sqi", {"valueQuantity": {"value": rate.sqi, "system": _UCUM, "code": "1"}})
    for code in rate.why:
        yield _component("why", _local(code, REASONS[code].sentence if code in REASONS else code))
    if doubtful is not None:
        yield _component("doubtful-rate", {"valueQuantity": _per_min(doubtful)})
    if rate.uncertainty is not None:
        yield _component("standard-uncertainty", {"valueQuantity": _per_min(rate.uncertainty)})


def _component(code: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"code": {"coding": [{"system": LOCAL, "code": code, "display": f"{code} (local code)"}]}, **value}


def _local(code: str, text: str | None = None) -> dict[str, Any]:
    display = {} if text is None else {"display": text}
    return {"valueCodeableConcept": {"coding": [{"system": LOCAL, "code": code, **display}]}}


def _notes(record: Record, run: Run) -> list[dict[str, str]]:
    texts = [NOTICE, *([_PLAYED] if not run.live else [_FREE] if record.clock != "synced" else [])]
    return [{"text": text} for text in texts]


def _samples(record: Wave) -> dict[str, Any]:
    """SampledData with ``E`` for a gap; where all is gap, no value."""
    if all(sample is None for sample in record.samples):
        return _value(None, "unknown")
    data = " ".join("E" if sample is None else format(Decimal(repr(sample)), "f") for sample in record.samples)
    origin = {"value": 0, "unit": "arbitrary units", "system": _UCUM, "code": "1"}
    return {"valueSampledData": {"origin": origin, "period": round(1000 / record.fs, 9), "dimensions": 1, "data": data}}
