"""Two scenes side by side, each in half of the picture; the two may change places."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from edge.cameras.scene import Scene, SceneParams, View

__all__ = ["TwoScenes"]

Pixels = TypeVar("Pixels", np.uint8, np.float32)


class TwoScenes:
    """Renders as a :class:`Scene` does, one frame at a time. ``left`` is in front while the two pass each other.

    ``swap_at_s`` None: they stay. Else they are apart again ``swap_s`` later, at once when that is 0.
    """

    def __init__(self, left: SceneParams, swap_at_s: float | None, swap_s: float, **other: float) -> None:
        self._scenes = Scene(left), Scene(msgspec.structs.replace(left, **other))
        self._swap_at_s, self._swap_s = swap_at_s, swap_s

    def render_rgb(self, t_s: list[float], view: View) -> npt.NDArray[np.uint8]:
        """One RGB frame uint8 ``[1, rows, columns, 3]``."""
        left, right = (scene.render_rgb(t_s, _middle(view))[0] for scene in self._scenes)
        return self._beside(t_s[0], left, right)[None]

    def render_thermal(self, t_s: list[float], view: View) -> npt.NDArray[np.float32]:
        """One thermal frame float32 ``[1, rows, columns]`` in degC."""
        left, right = (scene.render_thermal(t_s, _middle(view))[0] for scene in self._scenes)
        return self._beside(t_s[0], left, right)[None]

    def _beside(self, t_s: float, left: npt.NDArray[Pixels], right: npt.NDArray[Pixels]) -> npt.NDArray[Pixels]:
        half = left.shape[1]
        way = round(half * self._swapped(t_s))
        out = np.repeat(right[:, :1], 2 * half, axis=1)  # what neither covers on the way
        out[:, half - way : 2 * half - way] = right
        out[:, way : half + way] = left
        return out

    def _swapped(self, t_s: float) -> float:
        """How far the swap has come, 0..1."""
        if self._swap_at_s is None or t_s < self._swap_at_s:
            return 0.0
        return min((t_s - self._swap_at_s) / self._swap_s, 1.0) if self._swap_s else 1.0


def _middle(view: View) -> View:
    """The middle half of a view, with half of its columns."""
    return View(
        view.x + view.width / 4, view.y, view.width / 2, view.height, view.columns // 2, view.rows, view.sensor_pixels
    )
