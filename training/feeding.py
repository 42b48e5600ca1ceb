"""How frames were fed to a network while it was trained, and the same network fed as all are here.

This package feeds RGB 0..255 in the order R, G, B, and thermal in degC. Another order of colours goes into the first
convolutions, another scale into the model's ``input_scale``; an offset of the temperature needs nothing, since the
model looks at differences.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Feeding"]

ZERO_DEGC_IN_K = 273.15
RGB_RANGES = {255: ((0.0, 2.0), 255.0), 1: ((0.0, 0.0), 1.0)}
THERMAL_RANGES = {
    "celsius": ((-40.0, -40.0), 150.0),
    "kelvin": ((230.0, 230.0), 430.0),
    "centikelvin": ((23_000.0, 23_000.0), 43_000.0),
}
"""By convention: the least value there may be, the least that the largest may be, and the largest."""


class Feeding(msgspec.Struct, frozen=True, kw_only=True):
    """The convention of the frames that weights were trained on. ``input_scale`` is the largest RGB value."""

    input_scale: Literal[255, 1] = 255
    channel_order: Literal["rgb", "bgr"] = "rgb"
    thermal_unit: Literal["celsius", "kelvin", "centikelvin"] = "celsius"

    @property
    def factors(self) -> tuple[float, float]:
        """From 0..255 and degC to the scale of training, RGB and thermal."""
        return self.input_scale / 255.0, 100.0 if self.thermal_unit == "centikelvin" else 1.0

    def weights_in_our_order(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """``state`` for frames in the order R, G, B: the first convolutions that see colour, turned round.

        Done twice it gives back what was there.
        """
        if self.channel_order == "rgb":
            return state
        return {
            key: torch.cat([value[:, :3].flip(1), value[:, 3:]], dim=1).contiguous()
            if key.endswith("features.0.conv.weight") and value.shape[1] >= 3
            else value
            for key, value in state.items()
        }

    def misfit(self, given: npt.NDArray[np.float64]) -> str:
        """What values of a clip ``[B, C, F, S, S]`` do not fit this convention, and which option does; "" if all fit.

        A network gives the same for its own frames whatever they are said to be, so outputs cannot tell.
        """
        colours = given.shape[1] // 3 * 3
        for values, (low, high), option in (
            (given[:, :colours], RGB_RANGES[self.input_scale], "--input-scale"),
            (given[:, colours:], THERMAL_RANGES[self.thermal_unit], "--thermal-unit"),
        ):
            if values.size and not (values.min() >= low[0] and low[1] <= values.max() <= high):
                kind = "RGB" if option == "--input-scale" else "thermal"
                return f"its {kind} values are {values.min():g} to {values.max():g}; do they fit the {option} given?"
        return ""

    def clip_in_our_convention(self, given: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """A clip ``[B, C, F, S, S]`` as it was fed in training, as it is fed here."""
        colours = given.shape[1] // 3 * 3
        rgb, thermal = given[:, :colours] / self.factors[0], given[:, colours:]
        if self.thermal_unit != "celsius":
            thermal = thermal / self.factors[1] - ZERO_DEGC_IN_K
        rgb = rgb[:, ::-1] if self.channel_order == "bgr" else rgb
        return np.ascontiguousarray(np.concatenate([rgb, thermal], axis=1), np.float32)
