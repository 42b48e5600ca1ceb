"""How many people a serial port has room for: ``python -m edge.benchmarks.serial_budget``.

Bytes are those of real encoded records at their longest; 8N1 takes ten bits a byte, and a fifth is left for hellos,
events and acks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import msgspec

from edge.sinks.factory import RecordFactory
from edge.sinks.line import csv_from_numerics, line_from_numerics
from edge.sinks.records import Numerics, Wave
from edge.sinks.serial_profiles import FrameProfile
from edge.vitals import Estimate, Vitals

__all__ = ["bytes_a_second", "table"]

BAUDS = (1_200, 2_400, 9_600, 19_200, 57_600, 115_200)
_FPS = 30.0
_SHARE = 0.8
_BITS = 10


def bytes_a_second() -> dict[str, int]:
    """Of one person: a line, a csv line, a frame of numerics, and that with both waves at 30 samples a second."""
    factory = RecordFactory("kit-7", mono_clock=lambda: (2**32 - 1) * 10**6)
    hr, rr = (Estimate(value, 1.0, "low_quality", ("motion",), 10.0, 0, 9.9) for value in (198.0, 40.0))
    numerics = factory.numerics(Vitals(hr, rr, 0, "main", 9, "exact", "", {}, {}))
    numerics = msgspec.structs.replace(numerics, seq=99_999_999)
    waves = [
        factory.wave(name, [0.5] * round(_FPS), fs=_FPS, t0_ns=0, zone="main", person=9, source="rgb")
        for name in ("pleth", "resp")
    ]
    profile = FrameProfile("kit-7")
    frame = _size(profile, numerics)
    return {
        "line": len(line_from_numerics(numerics)),
        "csv": len(csv_from_numerics(numerics)),
        "frame, waves=0": frame,
        "frame": frame + sum(_size(profile, wave) for wave in waves),
    }


def table() -> Iterator[str]:
    """Markdown: people by baud rate and profile."""
    sizes = bytes_a_second()
    yield "| baud | " + " | ".join(f"`{name}` ({size} B/s each)" for name, size in sizes.items()) + " |"
    yield "|---" * (len(sizes) + 1) + "|"
    for baud in BAUDS:
        people = (int(_SHARE * baud / _BITS / size) for size in sizes.values())
        yield f"| {baud} | " + " | ".join(str(count) if count else "no" for count in people) + " |"


def _size(profile: FrameProfile, record: Numerics | Wave) -> int:
    wanted = profile.wants(record)
    assert wanted is not None
    return sum(len(piece) for piece in profile.encode(wanted, 0))


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
