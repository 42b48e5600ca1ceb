"""A folder of views: ``N_rgb.png`` and ``N_thermal.png`` show one board at one moment; ``.jpg`` and ``.jpeg`` too.

``N`` is any name. Thermal pictures are gray of 8 or 16 bits, or false colour whose brightness rises with heat.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import InputError

__all__ = ["Gray", "View", "load_views"]

Gray: TypeAlias = "npt.NDArray[np.uint8]"
_NAME = re.compile(r"(?P<view>.+)_(?P<kind>rgb|thermal)\.(?:png|jpe?g)\Z", re.IGNORECASE)
_SPREAD = (0.5, 99.5)
"""Percentiles of a 16-bit picture that become black and white."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One moment seen by both cameras, gray uint8 ``[H, W]`` each."""

    name: str
    rgb: Gray
    thermal: Gray


def load_views(folder: Path) -> tuple[list[View], list[str]]:
    """The views in ``folder`` in the order of their names (numbers by value), and the names that miss one picture.

    Raises
    ------
    InputError
        No folder, no pair in it, two pictures of one name, a picture that cannot be read, or pictures of one camera
        that differ in size.
    """
    found = _pictures(folder)
    whole = sorted((name for name, kinds in found.items() if len(kinds) == 2), key=_by_number)
    if not whole:
        raise InputError(f"{folder} holds no pair N_rgb.png and N_thermal.png (or .jpg); name the pictures so")
    views = [View(name, _gray(found[name]["rgb"]), _gray(found[name]["thermal"])) for name in whole]
    for kind in ("rgb", "thermal"):
        sizes = {f"{image.shape[1]}x{image.shape[0]}" for image in (getattr(view, kind) for view in views)}
        if len(sizes) > 1:
            raise InputError(f"{folder}: the {kind} pictures differ in size ({', '.join(sorted(sizes))}); want one")
    return views, sorted(found.keys() - set(whole), key=_by_number)


def _pictures(folder: Path) -> dict[str, dict[str, Path]]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give one with N_rgb.png and N_thermal.png")
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        if match := _NAME.match(path.name):
            kinds, kind = found.setdefault(match["view"], {}), match["kind"].lower()
            if kind in kinds:
                raise InputError(f"{kinds[kind]} and {path.name} are the same picture of one view; keep one of them")
            kinds[kind] = path
    return found


def _gray(path: Path) -> Gray:
    """A picture as gray uint8; 16 bits are spread over what occurs, colours are weighed as the eye does."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise InputError(f"{path} cannot be read as a picture; export it again as PNG")
    if image.dtype != np.uint8:
        low, high = np.percentile(image, _SPREAD)
        image = np.clip((image.astype(np.float64) - low) * (255.0 / max(high - low, 1e-9)), 0.0, 255.0).astype(np.uint8)
    if image.ndim == 3:
        image = cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY)
    return np.ascontiguousarray(image, np.uint8)


def _by_number(name: str) -> tuple[tuple[int, int, str], ...]:
    """``view2`` before ``view10``."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part)
