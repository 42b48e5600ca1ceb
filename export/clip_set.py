"""Recordings that precisions are ranged and judged on: a file of clips, or the synthetic validation distribution.

A clip set is one ``.npz``: ``rgb`` ``[N, 3, L, S, S]`` (uint8 or float32, 0..255) and ``thermal`` ``[N, 1, L, S, S]``
(float16 or float32, degC), as many of the two as there are, and ``fps``, one number. N recordings of L frames on the
grid of the model, as ``edge/clips`` makes them. Without a file, recordings are drawn from the ranges that the default
preset validates on, with seeds of their own, through the device's tracker, time grid and area means.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bundle import Channel
from edge.errors import InputError, first_line
from training.datasets.synthetic import recording_from_scene
from training.recipe import preset_from_toml

__all__ = ["Clips", "Geometry", "clips_from_npz", "clips_from_scene", "npz_from_clips"]

SECONDS = 32.0
"""Two seconds more than the longest window that a rate is read from."""
_SEED = 20261126
_TYPES: dict[Channel, tuple[str, ...]] = {"rgb": ("uint8", "float32"), "thermal": ("float16", "float32")}


@dataclass(frozen=True, slots=True)
class Geometry:
    """What a model's clips look like: modalities in their order, frames a second, frames a window, pixels a side."""

    channels: tuple[Channel, ...]
    fps: float
    frames: int
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """``frames`` float32 ``[N, C, L, S, S]`` and what they are, in words."""

    frames: npt.NDArray[np.float32]
    origin: str


def clips_from_scene(geometry: Geometry, count: int, first: int = 0) -> Clips:
    """``count`` seeded recordings of 32 s for ``geometry``, from number ``first`` on."""
    data = msgspec.structs.replace(preset_from_toml("default").data, fps=geometry.fps, frames=geometry.frames)
    data = msgspec.structs.replace(data, pixels=max(data.pixels, geometry.size))
    channels = sum(3 if channel == "rgb" else 1 for channel in geometry.channels)
    length = max(round(SECONDS * geometry.fps), geometry.frames)
    seeds = [(_SEED, number) for number in range(first, first + count)]
    frames = np.empty((count, channels, length, geometry.size, geometry.size), np.float32)
    for drawn, seed in zip(frames, seeds, strict=True):
        drawn[:] = recording_from_scene(data, geometry.size, channels, length, seed).frames
    return Clips(frames, f"{count} recordings of the synthetic validation distribution, seeds from {seeds[0]}")


def clips_from_npz(path: Path, geometry: Geometry) -> Clips:
    """The recordings in ``path``, as a model of ``geometry`` takes them; InputError when they do not fit it."""
    try:
        with np.load(path, allow_pickle=False) as held:
            parts = {channel: held[channel] for channel in geometry.channels}
            fps = float(held["fps"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        wanted = ", ".join((*geometry.channels, "fps"))
        raise InputError(f"{path}: not a clip set ({first_line(error)}); wanted an .npz with {wanted}") from error
    if abs(fps - geometry.fps) > 1e-3 * geometry.fps:
        raise InputError(f"{path}: {fps:g} frames a second, the model wants {geometry.fps:g}; resample the clips")
    shape = next(iter(parts.values())).shape
    for channel, part in parts.items():
        _check(path, channel, part, shape, geometry)
    frames = np.concatenate([part.astype(np.float32) for part in parts.values()], axis=1)
    return Clips(frames, f"{len(frames)} recordings of {path.name}")


def _check(path: Path, channel: Channel, part: npt.NDArray[np.generic], first: tuple[int, ...], want: Geometry) -> None:
    """InputError when ``part`` is not a modality of the clips that ``want`` takes, as many as ``first`` has."""
    colours, size = 3 if channel == "rgb" else 1, want.size
    count, length = (first[0], first[2]) if len(first) == 5 else (0, 0)
    fits = part.shape == (count, colours, length, size, size) and count > 0 and length >= want.frames
    if not fits or part.dtype.name not in _TYPES[channel]:
        wanted = f"{' or '.join(_TYPES[channel])} [N, {colours}, {want.frames} or more, {size}, {size}]"
        raise InputError(f"{path}: {channel} is {part.dtype} {list(part.shape)}, wanted {wanted}")
    if not np.isfinite(part.astype(np.float32)).all():
        raise InputError(f"{path}: {channel} has values that are not finite; leave those recordings out")


def npz_from_clips(path: Path, clips: Clips, geometry: Geometry) -> None:
    """Write ``clips`` as a clip set."""
    ends = np.cumsum([3 if channel == "rgb" else 1 for channel in geometry.channels])[:-1]
    parts = dict(zip(geometry.channels, np.split(clips.frames, ends, axis=1), strict=True))
    np.savez_compressed(path, allow_pickle=False, fps=np.float64(geometry.fps), **parts)
