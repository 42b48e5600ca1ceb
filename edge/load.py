"""What a device knows of itself: uptime, processor share, memory, temperature. Linux files, read when asked."""

from __future__ import annotations

import os
import time
from pathlib import Path

from edge.kernel_files import number_of, text_of

__all__ = ["DeviceLoad", "hottest_degc"]

_NOT_MEASURED = ("PMIC-Die",)
"""Types of zones that say the same whatever happens: 100 degC, on Jetson boards before Orin."""


class DeviceLoad:
    """Call it for the numbers since the last call (processor) and of now (the rest); None where nothing tells."""

    def __init__(self) -> None:
        self._start_s = self._last_s = time.monotonic()
        self._cpu_s = time.process_time()

    def __call__(self) -> dict[str, float | None]:
        """``uptime_s``, ``cpu_share`` (processor seconds a second), ``memory_mb``, ``temperature_degc`` (hottest)."""
        now_s, cpu_s = time.monotonic(), time.process_time()
        share = (cpu_s - self._cpu_s) / max(now_s - self._last_s, 1e-6)
        self._last_s, self._cpu_s = now_s, cpu_s
        return {
            "uptime_s": now_s - self._start_s,
            "cpu_share": share,
            "memory_mb": _memory_mb(),
            "temperature_degc": hottest_degc(),
        }


def _memory_mb() -> float | None:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def hottest_degc(zones: Path = Path("/sys/class/thermal")) -> float | None:
    """The hottest temperature that the board tells; None where it tells none."""
    found = []
    for zone in zones.glob("thermal_zone*"):
        degc = number_of(zone / "temp")  # a zone that is switched off answers with an error
        if degc is not None and text_of(zone / "type") not in _NOT_MEASURED:
            found.append(degc / 1000.0)
    return max(found, default=None)
