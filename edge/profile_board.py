"""What the board tells of itself while a graph is timed: model, power mode, clocks, temperatures, power.

All of it is read from Linux files below ``root``; what no file tells is empty and is never guessed. A board is a Jetson
only where its device tree says so.
"""

from __future__ import annotations

import os
import platform
import re
import resource
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime

from edge.kernel_files import number_of, text_of

__all__ = ["Board", "Clock", "Machine", "board", "machine", "peak_rss_mb", "warnings_of"]

_GPU = re.compile(r"gpu|gv11b|ga10b|gb10b", re.IGNORECASE)


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Processor and versions. ``load``: the one-minute load average at the start, on ``cores``."""

    cpu: str
    architecture: str
    cores: int
    load: float
    python: str
    numpy: str
    onnxruntime: str


class Clock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One clock domain in MHz: now, and the range its governor may choose from."""

    name: str
    now_mhz: float
    least_mhz: float
    most_mhz: float
    governor: str

    @property
    def locked(self) -> bool:
        """Whether it has one frequency to choose from."""
        return self.least_mhz == self.most_mhz


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``model`` is the device tree's, empty where there is none. Power is of one moment, right after the runs."""

    model: str
    l4t: str
    power_mode: str
    clocks: list[Clock]
    temperatures_degc: dict[str, float]
    power_w: dict[str, float]

    @property
    def is_jetson(self) -> bool:
        """Whether the board says so."""
        return "jetson" in self.model.lower()


def machine() -> Machine:
    """The facts of this machine, now."""
    lines = text_of(Path("/proc/cpuinfo")).splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return Machine(
        names[0] if names else platform.processor() or "unknown",
        platform.machine(),
        os.cpu_count() or 1,
        round(os.getloadavg()[0], 2),
        platform.python_version(),
        np.__version__,
        onnxruntime.__version__,
    )


def board(root: Path = Path("/")) -> Board:
    """What the files below ``root`` tell, now."""
    release = re.search(r"R(\d+).*?REVISION: *([\d.]+)", text_of(root / "etc/nv_tegra_release"))
    return Board(
        text_of(root / "proc/device-tree/model").rstrip("\0"),
        f"{release[1]}.{release[2]}" if release else "",
        _power_mode(root),
        [*_cpu_clocks(root), *_gpu_clocks(root)],
        _temperatures(root),
        _power(root),
    )


def warnings_of(facts: Board, cpu: Machine) -> list[str]:
    """What makes a time measured here worth less, one line each."""
    found = []
    if not facts.clocks:
        found.append("no clock of this machine can be read: whether they are locked is not known")
    if free := [clock.name for clock in facts.clocks if not clock.locked]:
        how = "; on a Jetson: sudo jetson_clocks" if facts.is_jetson else ""
        found.append(f"clocks are not locked ({', '.join(free[:4])}): times depend on the governor{how}")
    if facts.is_jetson and not facts.power_mode:
        found.append("the power mode cannot be read; name it beside the figures (nvpmodel -q)")
    if cpu.load > 0.5 * cpu.cores:
        found.append(f"the machine was busy before it began: load {cpu.load:g} on {cpu.cores} cores")
    return found


def peak_rss_mb() -> float:
    """The most memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _power_mode(root: Path) -> str:
    """The name of the mode in force, from the number that nvpmodel keeps and its table."""
    number = re.search(r"pmode:0*(\d+)", text_of(root / "var/lib/nvpmodel/status"))
    if not number:
        return ""
    table = text_of(root / "etc/nvpmodel.conf")
    name = re.search(rf"POWER_MODEL\s+ID={number[1]}\s+NAME=(\S+)", table)
    return name[1] if name else f"mode {number[1]}"


def _cpu_clocks(root: Path) -> Iterator[Clock]:
    for place in sorted((root / "sys/devices/system/cpu/cpufreq").glob("policy*")):
        values = [number_of(place / f"scaling_{key}_freq") for key in ("cur", "min", "max")]
        yield from _clock(f"cpu {place.name}", values, 1e-3, text_of(place / "scaling_governor"))


def _gpu_clocks(root: Path) -> Iterator[Clock]:
    for place in sorted((root / "sys/class/devfreq").glob("*")):
        if _GPU.search(place.name) or _GPU.search(text_of(place / "device/of_node/name")):
            values = [number_of(place / f"{key}_freq") for key in ("cur", "min", "max")]
            yield from _clock(f"gpu {place.name}", values, 1e-6, text_of(place / "governor"))


def _clock(name: str, values: list[float | None], mhz: float, governor: str) -> Iterator[Clock]:
    now, least, most = (None if value is None else round(value * mhz, 3) for value in values)
    if now is not None and least is not None and most is not None:
        yield Clock(name, now, least, most, governor)


def _temperatures(root: Path) -> dict[str, float]:
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    read = {text_of(zone / "type") or zone.name: number_of(zone / "temp") for zone in zones}
    return {name: round(value / 1000.0, 1) for name, value in read.items() if value is not None}


def _power(root: Path) -> dict[str, float]:
    """Watts of every rail of the board's monitors."""
    found = {}
    for place in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if not text_of(place / "name").startswith("ina"):
            continue
        for rail in (1, 2, 3):
            volts, amperes = number_of(place / f"in{rail}_input"), number_of(place / f"curr{rail}_input")
            if volts is not None and amperes is not None:
                found[text_of(place / f"in{rail}_label") or f"rail {rail}"] = round(volts * amperes * 1e-6, 3)
    return found
