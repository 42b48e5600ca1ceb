"""What the thermal camera shows of an RGB region, through the rig."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.clips.crop import ENLARGED, Box, model_cells, thermal_box
from edge.clips.warp import thermal_cells
from edge.frames import Frame
from edge.rig import Plane, Rig

__all__ = ["ThermalView"]


class ThermalView:
    """Cells of thermal frames, where the rig says that an RGB region is; keeps a plane while the face only sways."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._plane: Plane | None = None

    def cells(
        self, thermal: Frame, rgb_shape: tuple[int, ...], region: Box, size: int
    ) -> npt.NDArray[np.float32] | None:
        """Float32 ``[1, size, size]`` degC of ``region``, an enlarged face box in an RGB picture ``[H, W, ...]``.

        None when the thermal camera sees too little of it. Pictures are of the rig's sizes.
        """
        if not self._rig.planes:
            return model_cells(thermal, thermal_box(region, rgb_shape, thermal.image.shape), size)
        self._plane = self._rig.plane_for(max(region.w, region.h) / ENLARGED, self._plane)
        assert self._plane is not None, "the rig has planes"
        return thermal_cells(thermal, region, self._plane.matrix, size)
