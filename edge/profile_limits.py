"""How fast a graph could run: the roofline of a device, from published peaks or from a probe of this processor.

Two bounds. ``floor_ms`` is what no way to write the network can beat at the counted arithmetic: all of it at the peak,
or the input, the output and the weights through memory once. ``written_ms`` takes each layer as it is written, with all
that it reads and writes going to memory; caches can beat it.
S. Williams, A. Waterman, D. Patterson: Roofline (Communications of the ACM 52, 2009).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge.errors import UsageError
from edge.profile_layers import Layer
from edge.profile_probe import Probe
from edge.uri import nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["THIS_CPU", "Device", "Limit", "device_from_probe", "device_of_gpu", "devices", "find_device", "limit_of",
           "seconds_of"]  # fmt: skip

THIS_CPU = "this-cpu"
"""The device that is measured instead of looked up: one core of this processor, times the threads in use."""


_PEAKS = {"fp32": "fp32_tflop_s", "fp16": "fp16_tflop_s", "int8": "int8_top_s"}


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Peaks per second, dense. ``unchecked`` names figures whose source was not looked up."""

    name: str
    fp32_tflop_s: float
    fp16_tflop_s: float
    int8_top_s: float
    gb_s: float
    sources: list[str]
    unchecked: list[str]
    found_as: str = ""
    """Part of what such a board or GPU calls itself."""

    def peak(self, precision: str) -> float:
        """Operations a second in ``fp32``, ``fp16`` or ``int8``."""
        return float(getattr(self, _PEAKS[precision])) * 1e12


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bounds of one run. ``measured_here``: times of this machine may be divided by them."""

    device: str
    precision: str
    tflop_s: float
    gb_s: float
    flops: int
    flops_unknown: list[str]
    least_bytes: int
    moved_bytes: int
    floor_ms: float
    written_ms: float
    floor_by: str
    measured_here: bool
    unchecked: list[str]


def devices() -> dict[str, Device]:
    """The table that comes with the package, by short name."""
    with (Path(__file__).resolve().parent / "devices.toml").open("rb") as file:
        return msgspec.convert(tomllib.load(file), dict[str, Device])


def find_device(name: str) -> Device:
    """The device of the table; UsageError for a name it has not."""
    table = devices()
    if name not in table:
        raise UsageError(f"there is no device {name!r}{nearest(name, [THIS_CPU, *table])}")
    return table[name]


def device_of_gpu(wanted: str | None, seen: str) -> tuple[Device | None, bool, str]:
    """The device to compare a GPU with that calls itself ``seen``, whether it is that GPU, and why there is none.

    UsageError when ``wanted`` is not in the table.
    """
    if wanted == THIS_CPU:
        raise UsageError("--limit this-cpu bounds no engine on a GPU; leave it out, or name a device of the table")
    if wanted is not None:
        device = find_device(wanted)
        return device, bool(device.found_as) and device.found_as in seen, ""
    fitting = {name: one for name, one in devices().items() if one.found_as and one.found_as in seen}
    if len(fitting) == 1:
        return next(iter(fitting.values())), True, ""
    has = f"has {', '.join(fitting)} for" if fitting else "knows no"
    return None, False, f"edge/devices.toml {has} {seen!r}; name one with --limit"


def device_from_probe(found: Probe, threads: int) -> Device:
    """``threads`` cores of this processor. FP16 and INT8 were not measured and stand at the FP32 peak."""
    tflop_s = found.gflop_s * threads * 1e-3
    name = f"this CPU, {threads} thread{'s' * (threads > 1)}, measured by a float32 GEMM and a stream"
    return Device(name, tflop_s, tflop_s, tflop_s, found.gb_s, [], ["fp16_tflop_s", "int8_top_s"])


def limit_of(layers: Sequence[Layer], precision: str, device: Device, least_bytes: int, here: bool) -> Limit:
    """The bounds of ``layers`` on ``device``; ``here``: it is the device that they were timed on."""
    known = [(layer.flops or 0, layer.bytes) for layer in layers]
    peak, flops, moved = device.peak(precision), sum(one for one, _ in known), sum(one for _, one in known)
    compute_s, traffic_s = flops / peak, least_bytes / (device.gb_s * 1e9)
    written_s = sum(seconds_of(one, many, peak, device.gb_s) for one, many in known)
    return Limit(
        device.name,
        precision,
        round(peak * 1e-12, 4),
        device.gb_s,
        flops,
        sorted({layer.op for layer in layers if layer.flops is None}),
        least_bytes,
        moved,
        max(compute_s, traffic_s) * 1e3,
        written_s * 1e3,
        "arithmetic" if compute_s >= traffic_s else "memory",
        here,
        [key for key in device.unchecked if key in (_PEAKS[precision], "gb_s")],
    )


def seconds_of(flops: int, moved: int, peak: float, gb_s: float) -> float:
    """The roofline of one layer."""
    return max(flops / peak, moved / (gb_s * 1e9))
