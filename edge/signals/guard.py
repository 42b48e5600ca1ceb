"""When a stream's running statistics are no longer those of what is seen: its guard. Pure, stepped by model frames.

A stream divides by running means where the window function divides by those of its own window, so what it gives is
right while fast and slow statistics are the same. Three pairs are compared, each a running mean over
about 2 s and one over as long as the stream's own memory: the skin's brightness, the difference between frames, the
place of the face. Both of a pair begin together and are plain means at first, so a young pair agrees.

What trips the guard also begins its statistics anew, as it does those of the stream. Frames bridged in RGB trip it too.
A thermal shutter's pause does not: streams that ran through pauses of 1.5 s gave the RR of windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.clips.grid import Mark
from edge.signals.references import SKIN_CELLS

__all__ = ["Disagreement", "Guard", "GuardRules"]


@dataclass(frozen=True, slots=True)
class GuardRules:
    """From which disagreement of fast and slow a stream is not believed; chosen on the validation scenes.

    ``brightness``: of the logarithm of the skin's mean. ``place``: in face sides. ``difference``: of the logarithm of
    the mean squared difference between frames, in either direction. ``fast`` and ``slow`` are in frames.
    """

    brightness: float = 0.03
    place: float = 0.06
    difference: float = 2.0
    fast: float = 60.0
    slow: float = 600.0


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far fast and slow are apart, as :class:`GuardRules` has it."""

    brightness: float
    place: float
    difference: float


class _Pair:
    """Two running means of one quantity of ``n`` numbers: a value weighs 1/e after ``fast`` or ``slow`` later ones.

    Plain numbers: arrays of two would cost more than all the rest of the guard.
    """

    def __init__(self, fast: float, slow: float, n: int = 1) -> None:
        self._decay: list[float] = np.exp([-1.0 / fast, -1.0 / slow]).tolist()
        self._n = n
        self.begin()

    def begin(self) -> None:
        self._weight = [0.0, 0.0]
        self._mean: list[list[float]] = [[0.0] * self._n, [0.0] * self._n]

    def add(self, *values: float) -> None:
        """The next value, all its numbers."""
        for speed, decay in enumerate(self._decay):
            self._weight[speed] = weight = decay * self._weight[speed] + 1.0
            self._mean[speed] = [
                mean + (value - mean) / weight for mean, value in zip(self._mean[speed], values, strict=True)
            ]

    @property
    def apart(self) -> float:
        """The largest distance of fast from slow."""
        fast, slow = self._mean
        return max(abs(a - b) for a, b in zip(fast, slow, strict=True))

    @property
    def ratio(self) -> float:
        """Logarithm of fast over slow, of one quantity that is not negative."""
        (fast,), (slow,) = self._mean
        return float(np.log((fast + 1e-12) / (slow + 1e-12)))


class Guard:
    """Told every model frame; :meth:`step` gives the reason code of what made the stream unbelievable, or None."""

    def __init__(self, rules: GuardRules | None = None) -> None:
        self._rules = rules or GuardRules()
        speeds = self._rules.fast, self._rules.slow
        self._pairs = _Pair(*speeds), _Pair(*speeds, n=2), _Pair(*speeds)
        self.begin()

    def begin(self) -> None:
        """Another person, place or time, or a stream that begins anew."""
        for pair in self._pairs:
            pair.begin()
        self._before: npt.NDArray[np.float32] | None = None

    def step(self, cells: npt.NDArray[np.float32], place: npt.NDArray[np.float32], marks: Mark) -> str | None:
        """Take cells ``[3 or 4, 9, 9]`` (RGB 0..255) and the face's place ``[2]`` in face sides."""
        self._measure(cells[:3], place)
        code = "gap" if marks & Mark.RGB_BRIDGED else self._cause()
        if code is not None:
            self.begin()
        return code

    @property
    def disagreement(self) -> Disagreement:
        """Of what was seen so far."""
        brightness, place, difference = self._pairs
        return Disagreement(brightness.apart, place.apart, difference.ratio)

    def _measure(self, rgb: npt.NDArray[np.float32], place: npt.NDArray[np.float32]) -> None:
        brightness, places, difference = self._pairs
        rows, columns = SKIN_CELLS
        level = max(float(rgb[:, rows, columns].mean()), 1.0)
        brightness.add(float(np.log(level)))
        places.add(*place.tolist())
        if self._before is not None:
            change = (rgb - self._before).mean(axis=0) / level
            difference.add(_median(change * change))  # a blink or a hand in some cells is none of the whole face
        self._before = rgb

    def _cause(self) -> str | None:
        rules, apart = self._rules, self.disagreement
        if apart.place > rules.place:
            return "motion"
        if apart.brightness > rules.brightness:
            return "light_change"
        if abs(apart.difference) > rules.difference:
            return "light_change" if apart.brightness / rules.brightness > apart.place / rules.place else "motion"
        return None


def _median(values: npt.NDArray[np.float32]) -> float:
    """Of an odd number of values."""
    middle = values.size // 2
    return float(np.partition(values, middle, axis=None)[middle])
