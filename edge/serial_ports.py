"""Serial ports that are there, by a name that stays."""

from __future__ import annotations

from pathlib import Path

__all__ = ["serial_ports"]

_NAMES = ("ttyUSB*", "ttyACM*", "ttyTHS*", "ttyAMA*")
"""USB adapters, boards with a USB port of their own, the UARTs of a Jetson, those of a Raspberry Pi."""


def serial_ports(dev: Path = Path("/dev")) -> list[str]:
    """Paths of serial ports, by id where udev gives one, for a number may be another port after a replug."""
    by_id = sorted((dev / "serial/by-id").glob("*"))
    named = {link.resolve() for link in by_id}
    plain = [path for pattern in _NAMES for path in sorted(dev.glob(pattern))]
    return [str(path) for path in (*by_id, *(path for path in plain if path.resolve() not in named))]
