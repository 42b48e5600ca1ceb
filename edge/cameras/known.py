"""Thermal cameras that are told by their USB id: data, one row a camera. What is in no row is taken for an RGB camera.

A maker's id says little by itself (0bda:5830 is also on RGB modules), so a row counts only for a camera that also
offers its format and size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge.cameras.uvc import Mode

__all__ = ["THERMAL", "ThermalCamera", "thermal_from_usb"]


@dataclass(frozen=True, slots=True)
class ThermalCamera:
    """``uri``: what goes around the path in its URI, ``"lepton:{path}"``."""

    usb_id: str
    name: str
    fourcc: str
    sizes: tuple[tuple[int, int], ...]
    uri: str


THERMAL = (
    ThermalCamera("1e4e:0100", "FLIR Lepton on a PureThermal board", "Y16", ((160, 120), (160, 122)), "lepton:{path}"),
    ThermalCamera("09cb:4007", "FLIR Boson 320", "Y16", ((320, 256),), "y16:{path}?layout=boson320"),
    ThermalCamera("09cb:4007", "FLIR Boson 640", "Y16", ((640, 512),), "y16:{path}?layout=boson640"),
    ThermalCamera("0bda:5830", "Topdon TC001 / InfiRay P2 Pro", "YUYV", ((256, 384),), "y16:{path}?layout=tc001"),
)


def thermal_from_usb(usb_id: str | None, modes: Iterable[Mode]) -> ThermalCamera | None:
    """The row of a device; None for one that is not known as thermal."""
    offered = {(mode.fourcc, (mode.width, mode.height)) for mode in modes}
    for row in THERMAL:
        if row.usb_id == usb_id and any((row.fourcc, size) in offered for size in row.sizes):
            return row
    return None
