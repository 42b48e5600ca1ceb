"""Home Assistant finds each zone by itself: MQTT device discovery (since 2024.11; home-assistant.io/integrations/mqtt).

A device per zone, never per person: track ids come and go. All its entities read one small state, which is made here
from the record of the zone's person, so that their templates decide nothing. Null is ``None`` in a template's text,
which Home Assistant shows as *unknown*. A rate is shown until it is 10 s old at most: it leaves here at an age of up to
2 s, is on its way for up to 2 s, and expires 6 s after it came.
"""

from __future__ import annotations

from typing import Any

import msgspec

from edge.sinks.records import Health, Meta, Numerics, Rate
from edge.vitals import STATES

__all__ = ["LIFETIME_S", "ZoneState", "birth_topic", "config_from_meta", "config_topic", "state_topic"]

EXPIRE_S = 6
LIFETIME_S = 2
_AGE_MS = 2_000
_PROBLEMS = ("fault", "camera_lost", "thermal_lost", "stale")
_BLIND = ("fault", "camera_lost", "stale")
"""States of HR in which nobody knows whether somebody is there."""


class ZoneState:
    """Makes the state of zones. Of several persons in a zone the first of each look speaks for it."""

    def __init__(self) -> None:
        self._looks: dict[str, int] = {}
        self._temperature_degc: float | None = None

    def hear(self, record: Health) -> None:
        """Keep the temperature of the board."""
        self._temperature_degc = record.temperature_degc

    def state(self, record: Numerics) -> bytes | None:
        """What the entities of ``record.zone`` show; None for a further person of a look that was told already."""
        if self._looks.get(record.zone) == record.pts_ns:
            return None
        self._looks[record.zone] = record.pts_ns
        states = {record.hr.state, record.rr.state}
        shown = {
            "hr": _young(record.hr),
            "rr": _young(record.rr),
            "hr_quality": round(100 * record.hr.sqi),
            "rr_quality": round(100 * record.rr.sqi),
            "hr_state": record.hr.state,
            "rr_state": record.rr.state,
            "present": None if record.hr.state in _BLIND else _switch(record.hr.state != "no_face"),
            "problem": _switch(bool(states.intersection(_PROBLEMS))),
            "why": sorted({*record.hr.why, *record.rr.why}),
            "fps": record.fps.get("rgb", record.fps.get("thermal")),
            "temperature": self._temperature_degc,
        }
        return msgspec.json.encode(shown)


def birth_topic(prefix: str) -> str:
    """Where Home Assistant says ``online`` when it starts."""
    return f"{prefix}/status"


def config_topic(prefix: str, device: str, zone: str) -> str:
    """Where a zone's discovery message goes, retained."""
    return f"{prefix}/device/{device}/{zone}/config"


def state_topic(root: str, zone: str) -> str:
    """Where the state of a zone goes, below the device's topic ``root``."""
    return f"{root}/{zone}/ha"


def config_from_meta(meta: Meta, zone: str, root: str) -> bytes:
    """The discovery message of one zone."""
    name = f"mmrphys-{meta.device}-{zone}"
    message = {
        "dev": {
            "identifiers": [name],
            "name": f"{meta.device} {zone}",
            "manufacturer": "mmrphys-edge",
            "model": f"camera vital signs ({meta.notice})",
            "sw_version": meta.software,
        },
        "o": {"name": "mmrphys-edge", "sw_version": meta.software},
        "state_topic": state_topic(root, zone),
        "availability": [
            {"topic": f"{root}/status", "payload_available": "online", "payload_not_available": "offline"}
        ],
        "qos": 1,
        "cmps": {key: entity | {"unique_id": f"{name}-{key}"} for key, entity in _entities(root, zone).items()},
    }
    return msgspec.json.encode(message)


def _entities(root: str, zone: str) -> dict[str, dict[str, Any]]:
    reasons = {
        "json_attributes_topic": state_topic(root, zone),
        "json_attributes_template": "{{ {'why': value_json.why} | tojson }}",
    }
    diagnostic = {"entity_category": "diagnostic"}
    version = _entity("sensor", "Version", "software") | {"state_topic": f"{root}/meta"} | diagnostic
    del version["expire_after"]  # it is retained
    return {
        "hr": _number("Heart rate", "hr", "bpm") | {"icon": "mdi:heart-pulse", "suggested_display_precision": 0},
        "rr": _number("Breath rate", "rr", "breaths/min") | {"icon": "mdi:lungs", "suggested_display_precision": 0},
        "hr_quality": _number("Heart rate quality", "hr_quality", "%"),
        "rr_quality": _number("Breath rate quality", "rr_quality", "%"),
        "hr_state": _word("Heart rate state", "hr_state") | reasons,
        "rr_state": _word("Breath rate state", "rr_state"),
        "present": _entity("binary_sensor", "Person present", "present") | {"device_class": "occupancy"},
        "problem": _entity("binary_sensor", "Problem", "problem") | {"device_class": "problem"} | diagnostic,
        "fps": _number("Camera frame rate", "fps", "fps") | diagnostic,
        "temperature": _number("Board temperature", "temperature", "°C") | {"device_class": "temperature"} | diagnostic,
        "version": version,
    }


def _number(name: str, key: str, unit: str) -> dict[str, Any]:
    return _entity("sensor", name, key) | {"unit_of_measurement": unit, "state_class": "measurement"}


def _word(name: str, key: str) -> dict[str, Any]:
    return _entity("sensor", name, key) | {"device_class": "enum", "options": list(STATES)}


def _entity(platform: str, name: str, key: str) -> dict[str, Any]:
    template = f"{{{{ value_json.{key} }}}}"
    return {"platform": platform, "name": name, "value_template": template, "expire_after": EXPIRE_S}


def _young(rate: Rate) -> float | None:
    return rate.value if rate.age_ms <= _AGE_MS else None


def _switch(on: bool) -> str:
    return "ON" if on else "OFF"
