"""Whether anything on this device reports home."""

from __future__ import annotations

from collections.abc import Iterator

from edge.doctor import Check, Finding, Subject, ok, poor

__all__ = ["look"]

SWITCH = "ORT_DISABLE_TELEMETRY"


def look(subject: Subject) -> Iterator[Finding]:
    """ONNX Runtime's events, the only ones there could be, are off."""
    if subject.environment.get(SWITCH) == "1":
        yield ok(f"off: ONNX Runtime sends no events ({SWITCH}=1), nothing else would")
    else:
        yield poor(
            f"{SWITCH} is not 1: ONNX Runtime may send events", "start mmrphys itself, which sets it", needed=True
        )


_: Check = look
