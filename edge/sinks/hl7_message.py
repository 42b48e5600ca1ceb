"""HL7 v2.6 from numerics: ORU^R01 as IHE's profile PCD-01 shapes it, and what its acknowledgement says. No I/O.

::

    MSH  who sends, when, ORU^R01^ORU_R01, the record's identity as control id, 2.6
    PID  nobody by name, for the kit does not know who lies there; PID-3 must not be empty: device/zone, anonymous
    PV1  where: device and zone
    OBR  monitoring of a patient, the time looked at        NTE  research use; why there is no time
    OBX  the rate, MDC and LOINC codes                      NTE  the reasons
    OBX  its state, quality, window, and a doubtful rate, all under codes of 99MMRPHYS, which are ours alone

Only an ``ok`` rate stands in OBX-5 of the rate; else that is empty, OBX-11 is ``X`` (no result) and OBX-8 ``NAV`` (not
available) or ``QUES`` (questionable: ``low_quality`` and ``hold``). A late message is marked as archive in MSH-11, and
one that is late while nobody knows when it was made holds no value, for a receiver would take it for now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from edge.sinks.clocks import ns_from_rfc3339, rfc3339_from_ns
from edge.sinks.reading import Reading, reading_from_rate
from edge.sinks.records import CODES, NOTICE, Numerics, Rate
from edge.vitals import REASONS

__all__ = ["Answer", "Origin", "Processing", "Routing", "answer_from_text", "control_id", "text_from_numerics"]

Processing = Literal["P", "T", "D"]
Origin = Literal["live", "played", "scene"]
"""A camera that watches, a recording that was played, or a scene that was drawn."""

_LOCAL = "99MMRPHYS"
_NAMES = {
    "hr": ("MDC_PULS_OXIM_PULS_RATE", "Heart rate", "264864^MDC_DIM_BEAT_PER_MIN^MDC"),
    "rr": ("MDC_RESP_RATE", "Respiratory rate", "264928^MDC_DIM_RESP_PER_MIN^MDC"),
}
"""MDC's name (ISO/IEEE 11073-10101), the display of the LOINC code, MDC's unit."""
_ESCAPES = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
_LATE_NOTE = "sent late, and when it was is not known: its values are withheld"


@dataclass(frozen=True, slots=True)
class Routing:
    """Where a message goes in MSH: receiving application and facility, and MSH-11 (research is ``T``, not ``P``)."""

    application: str = ""
    facility: str = ""
    processing: Processing = "T"


@dataclass(frozen=True, slots=True)
class Answer:
    """An acknowledgement: ``code`` AA (taken), AE (an error in or with the message) or AR (not now, or never)."""

    code: Literal["AA", "AE", "AR"]
    control_id: str
    reason: str


def control_id(record: Numerics) -> str:
    """MSH-10: the record's identity within its device, the same whenever it is sent."""
    return f"{record.boot}-{record.seq}"


def text_from_numerics(record: Numerics, routing: Routing, origin: Origin, *, late: bool) -> str:
    """The message, its segments ending with CR."""
    timed = origin == "live" and record.clock == "synced"
    begin, end = _seen(record) if timed else ("", "")
    mode = f"{routing.processing}^A" if late else routing.processing
    made = _time(ns_from_rfc3339(record.time))
    segments = [
        ["MSH", "^~\\&", "mmrphys", _safe(record.device), _safe(routing.application), _safe(routing.facility),
         made, "", "ORU^R01^ORU_R01", control_id(record), mode, "2.6", "", "", "", "", "", "UNICODE UTF-8"],
        ["PID", "1", "", f"{_safe(record.device)}/{_safe(record.zone)}^^^mmrphys^ANON", "", "^^^^^^U"],
        ["PV1", "1", "U", f"{_safe(record.device)}^^{_safe(record.zone)}"],
        ["OBR", "1", "", f"{control_id(record)}^{_safe(record.device)}", "182777000^monitoring of patient^SCT", "", "",
         begin, end],
    ]  # fmt: skip
    notes = [NOTICE, *_clock_notes(record, origin, late=late and not timed)]
    segments += _notes(notes)
    segments += _observations(record, timed=timed, withheld=late and not timed, scene=origin == "scene")
    return "".join("|".join(fields).rstrip("|") + "\r" for fields in segments)


def answer_from_text(text: str) -> Answer:
    """The acknowledgement in a message; ValueError when it is none. Commit codes (CA, CE, CR) count as AA, AE, AR."""
    segments = [line.split("|") for line in text.replace("\n", "\r").split("\r")]
    said = next((fields for fields in segments if fields[0] == "MSA" and len(fields) > 2), None)
    if said is None or said[1] not in {"AA", "AE", "AR", "CA", "CE", "CR"}:
        raise ValueError("no acknowledgement in the answer")
    error = next((fields for fields in segments if fields[0] == "ERR"), [])
    words = (said[3:4] + error[3:4] + error[8:9]) if said[1][1] != "A" else []
    reason = " ".join(
        "".join(" " if sign in "^|" or not sign.isprintable() else sign for sign in word) for word in words
    )
    return Answer(cast('Literal["AA", "AE", "AR"]', "A" + said[1][1]), said[2], " ".join(reason.split())[:200])


def _observations(record: Numerics, *, timed: bool, withheld: bool, scene: bool) -> Iterator[list[str]]:
    number = 0
    for group, (name, rate) in enumerate((("hr", record.hr), ("rr", record.rr)), 1):
        reading = reading_from_rate(rate)
        if withheld:
            reading = Reading(None, rate.value, reading.absent or "unknown")
        when = _time(_window(record, rate)[1]) if timed else ""
        number += 1
        yield _rate_segment(number, str(group), name, reading, when, record.device, scene=scene)
        yield from _notes([f"{code}: {REASONS[code].sentence}" if code in REASONS else code for code in rate.why])
        for local in _local_fields(name, rate, reading):
            number += 1
            yield [
                "OBX",
                str(number),
                local[0],
                local[1],
                str(group),
                local[2],
                local[3],
                "",
                "",
                "",
                "",
                "R",
                "",
                "",
                when,
            ]


def _rate_segment(
    number: int, group: str, name: str, reading: Reading, when: str, device: str, *, scene: bool
) -> list[str]:
    code, (mdc_name, loinc_name, unit) = CODES[name], _NAMES[name]
    flag = ["QUES"] if reading.doubtful is not None else ["NAV"] if reading.value is None else []
    return [
        "OBX", str(number), "NM", f"{code.mdc}^{mdc_name}^MDC^{code.loinc}^{loinc_name}^LN", group,
        "" if reading.value is None else f"{reading.value:g}", f"{unit}^{code.ucum}^^UCUM", "",
        "~".join(flag + ["DEMO"] * scene), "", "", "X" if reading.value is None else "R", "", "", when,
        "", "", "", _safe(device),
    ]  # fmt: skip


def _local_fields(name: str, rate: Rate, reading: Reading) -> Iterator[tuple[str, str, str, str]]:
    """Type, code, value and unit of what has local codes."""
    yield "CWE", f"{name}-state^state of the rate^{_LOCAL}", f"{rate.state}^^{_LOCAL}", ""
    yield "NM", f"{name}-sqi^signal quality, 0 to 1^{_LOCAL}", f"{rate.sqi:g}", "1^^UCUM"
    yield "NM", f"{name}-window^seconds looked at^{_LOCAL}", f"{rate.window_s:g}", "s^^UCUM"
    if reading.doubtful is not None:
        yield "NM", f"{name}-doubtful^not to be read as a rate^{_LOCAL}", f"{reading.doubtful:g}", "/min^^UCUM"


def _clock_notes(record: Numerics, origin: Origin, *, late: bool) -> Iterator[str]:
    if origin != "live":
        yield "test data: a scene that was drawn" if origin == "scene" else "a recording was played: no time of day"
    elif record.clock != "synced":
        yield "the clock of the device followed no time server: no time of day"
    if late:
        yield _LATE_NOTE


def _notes(texts: Sequence[str]) -> list[list[str]]:
    return [["NTE", str(number), "L", _safe(text)] for number, text in enumerate(texts, 1)]


def _window(record: Numerics, rate: Rate) -> tuple[int, int]:
    end_ns = ns_from_rfc3339(record.time) - rate.age_ms * 10**6
    return end_ns - round(rate.window_s * 1e9), end_ns


def _seen(record: Numerics) -> tuple[str, str]:
    """From when to when the rates of a record looked."""
    windows = [_window(record, rate) for rate in (record.hr, record.rr)]
    return _time(min(begin for begin, _ in windows)), _time(max(end for _, end in windows))


def _time(wall_ns: int) -> str:
    """``YYYYMMDDHHMMSS.SSS+0000``."""
    text = rfc3339_from_ns(wall_ns)
    return "".join(sign for sign in text.removesuffix("Z") if sign not in "-T:") + "+0000"


def _safe(text: str) -> str:
    """``text`` as a part of a field: delimiters escaped, control characters left out."""
    return "".join(_ESCAPES.get(sign, sign) for sign in text if sign.isprintable())
