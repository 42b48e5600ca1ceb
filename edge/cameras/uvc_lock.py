"""Exposure, white balance and gain held where they are: a camera that corrects itself hides or imitates a pulse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge.cameras.uvc import UvcStream
from edge.cameras.uvc_structs import Control

__all__ = ["LOCKS", "Locked", "hold_rate", "lock"]

Locked = dict[str, int]


@dataclass(frozen=True, slots=True)
class _Lock:
    """A control, the one that makes it automatic, and the value of that by which it is not."""

    value: Control
    automatic: Control
    manual: int


LOCKS: dict[str, _Lock] = {
    "exposure": _Lock(Control.EXPOSURE_ABSOLUTE, Control.EXPOSURE_AUTO, 1),  # in 0.1 ms
    "white_balance": _Lock(Control.WHITE_BALANCE_TEMPERATURE, Control.AUTO_WHITE_BALANCE, 0),  # kelvin
    "gain": _Lock(Control.GAIN, Control.AUTOGAIN, 0),  # the camera's own unit
}


def hold_rate(stream: UvcStream) -> None:
    """Forbid automatic exposure to lower the frame rate in dim light."""
    if stream.control(Control.EXPOSURE_AUTO_PRIORITY) is not None:
        stream.set_control(Control.EXPOSURE_AUTO_PRIORITY, 0)


def lock(stream: UvcStream, fixed: Mapping[str, int], names: Iterable[str] = tuple(LOCKS)) -> Locked:
    """Lock each at its value in ``fixed``, else at its present one; gives what the camera then says, where it has it.

    All present values are read before any automatic goes off, for they are lost then: automatic exposure moves the gain
    of many cameras, too. They are written once all are off.
    """
    present = {name: stream.control(LOCKS[name].value) for name in names}
    for name in present:
        automatic = LOCKS[name].automatic
        if stream.control(automatic) is not None:
            stream.set_control(automatic, LOCKS[name].manual)
    found: Locked = {}
    for name, now in present.items():
        if now is not None:
            value = stream.set_control(LOCKS[name].value, fixed.get(name, now))
            found[name] = now if value is None else value
    return found
