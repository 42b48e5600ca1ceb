"""The C side of ``frame_layout``: ``mmrphys_payloads.h`` and ``.c`` of the Arduino library, made from its tables.

``python -m edge.sinks.frame_c`` writes both; a test holds that the committed ones are these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from edge.sinks import frame_layout as layout
from edge.sinks.frame_layout import Field, Payload, Wire
from edge.vitals import STATES, VALUE_STATES

__all__ = ["LIBRARY", "header", "source"]

LIBRARY = Path(__file__).parents[1] / "arduino" / "MmrphysLink"

_TYPES: dict[Wire, str] = {"u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t", "f32": "float"}
_MADE = "/* Made from edge/sinks/frame_layout.py by `python -m edge.sinks.frame_c`; change that, not this. */"
_NAMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("state", STATES),
    ("reason", layout.REASON_CODES),
    ("event", layout.EVENT_CODES),
    ("severity", layout.SEVERITIES),
    ("wave", layout.WAVES),
)


def header() -> str:
    """``mmrphys_payloads.h``."""
    return "\n".join(_header()) + "\n"


def source() -> str:
    """``mmrphys_payloads.c``."""
    return "\n".join(_source()) + "\n"


def _header() -> Iterator[str]:
    yield from (_MADE, "#ifndef MMRPHYS_PAYLOADS_H", "#define MMRPHYS_PAYLOADS_H", "")
    yield from ("#include <stdbool.h>", "#include <stddef.h>", "#include <stdint.h>", "")
    yield from ("#ifdef __cplusplus", 'extern "C" {', "#endif", "")
    for name in ("VERSION", "HEADER_BYTES", "CRC_BYTES", "MAX_BODY", "MAX_PAYLOAD", "NO_RATE", "NO_PERSON", "NO_ZONE"):
        yield f"#define MMR_{name} {getattr(layout, name)}u"
    yield f"#define MMR_NO_SAMPLE ({layout.NO_SAMPLE + 1} - 1)"
    yield from _enum("type", {name: payload.number for name, payload in layout.PAYLOADS.items()})
    for what, names in _NAMES:
        yield from _enum(what, {name: number for number, name in enumerate(names)})
    for name, payload in layout.PAYLOADS.items():
        if payload.fields:
            yield from _struct(name, payload)
    yield from (
        "",
        "/* Whether a payload of `length` bytes can be one of `type`; false for a type that is not known. */",
    )
    yield "bool mmr_payload_fits(uint8_t type, size_t length);"
    yield from ("", "/* Whether a rate in this state carries a number. */", "bool mmr_state_has_value(uint8_t state);")
    for name, payload in layout.PAYLOADS.items():
        if payload.fields:
            yield from ("", f"/* Fields of a {name} payload that fits. */", f"{_reader(name)};")
    yield from ("", '/* Names for people; "?" for a number that is not known. */')
    yield from (f"const char *mmr_{what}_name(uint8_t number);" for what, _ in _NAMES)
    yield from ("", "#ifdef __cplusplus", "}", "#endif", "", "#endif")


def _source() -> Iterator[str]:
    yield from (_MADE, '#include "mmrphys_payloads.h"', "", "#include <string.h>", "")
    yield from _readers({field.wire for payload in layout.PAYLOADS.values() for field in payload.fields})
    yield from ("bool mmr_payload_fits(uint8_t type, size_t length) {", "    switch (type) {")
    for payload in layout.PAYLOADS.values():
        yield f"    case {payload.number}u: return {_fits(payload)};"
    yield from ("    default: return false;", "    }", "}", "")
    values = " || ".join(f"state == {number}u" for number, state in enumerate(STATES) if state in VALUE_STATES)
    yield from ("bool mmr_state_has_value(uint8_t state) {", f"    return {values};", "}")
    for name, payload in layout.PAYLOADS.items():
        if payload.fields:
            yield from ("", f"{_reader(name)} {{", *_assignments(payload.fields), "}")
    for what, names in _NAMES:
        yield from _names(what, names)


def _enum(what: str, numbers: dict[str, int]) -> Iterable[str]:
    return ["", "enum {", *(f"    MMR_{what.upper()}_{name.upper()} = {n}," for name, n in numbers.items()), "};"]


def _struct(name: str, payload: Payload) -> Iterator[str]:
    yield ""
    if payload.tail:
        yield f"/* Followed by {payload.tail} to the end of the payload: {payload.note}. */"
    yield f"#define MMR_{name.upper()}_BYTES {layout.size_of(payload.fields)}u"
    yield from ("typedef struct {", *(f"    {_TYPES[f.wire]} {f.name}; /* {f.note} */" for f in payload.fields))
    yield f"}} mmr_{name};"


def _reader(name: str) -> str:
    return f"void mmr_read_{name}(const uint8_t *payload, mmr_{name} *out)"


def _fits(payload: Payload) -> str:
    size = layout.size_of(payload.fields)
    within = f"length <= MMR_MAX_PAYLOAD && length >= {size}u"
    return {"": f"length == {size}u", "text": within, "samples": f"{within} && (length - {size}u) % 2u == 0u"}[
        payload.tail
    ]


def _assignments(fields: tuple[Field, ...]) -> Iterator[str]:
    for number, field in enumerate(fields):
        yield f"    out->{field.name} = get_{field.wire}(payload + {layout.size_of(fields[:number])});"


def _readers(used: set[Wire]) -> Iterator[str]:
    yield from ("static uint8_t get_u8(const uint8_t *at) {", "    return at[0];", "}", "")
    smaller: tuple[Wire, ...] = ("u8", "u16", "u32")
    for half, wire in zip(smaller, ("u16", "u32", "u64"), strict=True):
        bits = 8 << smaller.index(half)
        whole = _TYPES[wire]  # type: ignore[index]  # the three literals are of Wire
        yield f"static {whole} get_{wire}(const uint8_t *at) {{"
        yield f"    return ({whole})(get_{half}(at) | ({whole})(({whole})get_{half}(at + {bits // 8}) << {bits}));"
        yield from ("}", "")
    if "f32" in used:
        yield from (
            "static float get_f32(const uint8_t *at) {",
            "    const uint32_t bits = get_u32(at);",
            "    float value;",
        )
        yield from ("    memcpy(&value, &bits, sizeof value);", "    return value;", "}", "")


def _names(what: str, names: tuple[str, ...]) -> Iterator[str]:
    yield from ("", f"const char *mmr_{what}_name(uint8_t number) {{", "    static const char *const names[] = {")
    yield from (f'        "{name}",' for name in names)
    yield from ("    };", '    return number < sizeof names / sizeof names[0] ? names[number] : "?";', "}")


def main() -> None:
    """Write both files."""
    (LIBRARY / "src" / "mmrphys_payloads.h").write_text(header(), encoding="utf-8")
    (LIBRARY / "src" / "mmrphys_payloads.c").write_text(source(), encoding="utf-8")


if __name__ == "__main__":
    main()
