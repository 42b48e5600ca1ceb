"""Recordings on the model's grid, kept as plain NumPy files; one file here per kind of data that fills them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Recordings", "Windows"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Recordings:
    """N recordings of L frames, float32, memory-mapped.

    ``frames`` is ``[N, C, L, S, S]`` (RGB 0..255 first, thermal in degC last). ``series`` holds ``[N, L]`` values per
    frame: the labels ``bvp`` and ``rsp`` in arbitrary units, and the true rates ``hr`` and ``rr`` per minute.
    ``tone`` is ``[N]``. ``done`` marks what is filled, so that an interrupted preparation goes on where it stopped.
    """

    frames: Floats
    series: Mapping[str, Floats]
    tone: Floats
    done: npt.NDArray[np.bool_]

    SERIES = ("bvp", "rsp", "hr", "rr")

    def __len__(self) -> int:
        return len(self.frames)

    @classmethod
    def at(cls, folder: Path, shape: tuple[int, int, int, int, int]) -> Recordings:
        """The recordings in ``folder``, opened for reading and writing; empty ones of ``shape`` if there are none.

        ValueError when there are some of another shape.
        """
        folder.mkdir(parents=True, exist_ok=True)
        count, length = shape[0], shape[2]

        def held(name: str, shape: tuple[int, ...], kind: type[np.generic]) -> Any:
            path = folder / f"{name}.npy"
            if not path.exists():
                np.lib.format.open_memmap(path, "w+", kind, shape).flush()
            array = np.load(path, mmap_mode="r+", allow_pickle=False)
            if array.shape != shape:
                raise ValueError(f"{path} holds {list(array.shape)}, wanted {list(shape)}; use another folder")
            return array

        series = {name: held(name, (count, length), np.float32) for name in cls.SERIES}
        return cls(
            held("frames", shape, np.float32),
            series,
            held("tone", (count,), np.float32),
            held("done", (count,), np.bool_),
        )


class Windows:
    """Batches of training windows cut from recordings: any start, mirrored left and right half of the time.

    What a batch holds depends on ``seed`` and its number alone: a resumed training sees what it would have seen.
    """

    def __init__(self, recordings: Recordings, frames: int, channels: slice, seed: int) -> None:
        self._recordings = recordings
        self._frames = frames
        self._channels = channels
        self._seed = seed

    def batch(self, number: int, size: int) -> tuple[Floats, dict[str, Floats]]:
        """Frames ``[size, C, F, S, S]``, labels ``{"bvp": [size, T], "rsp": ...}`` of their first T = F - 1 frames."""
        rng = np.random.default_rng([self._seed, number])
        places = [(self._recording(number * size + i), *self._cut(rng)) for i in range(size)]
        frames = np.stack([self._window(index, start, mirror=mirror) for index, start, mirror in places])
        length = self._frames - 1
        labels = {
            task: np.stack([self._recordings.series[task][index, start : start + length] for index, start, _ in places])
            for task in ("bvp", "rsp")
        }
        return frames, labels

    def _recording(self, draw: int) -> int:
        """Every recording once an epoch, in an order of its own each time."""
        epoch, place = divmod(draw, len(self._recordings))
        order = np.random.default_rng([self._seed, epoch, 1]).permutation(len(self._recordings))
        return int(order[place])

    def _cut(self, rng: np.random.Generator) -> tuple[int, bool]:
        starts = self._recordings.frames.shape[2] - self._frames + 1
        return int(rng.integers(starts)), bool(rng.random() < 0.5)

    def _window(self, index: int, start: int, *, mirror: bool) -> Floats:
        window = self._recordings.frames[index, self._channels, start : start + self._frames]
        return window[..., ::-1] if mirror else window
