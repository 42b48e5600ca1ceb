"""Recordings that graphs are ranged and judged on: files of clips, videos, or the synthetic validation distribution.

A clip set is one ``.npz``: ``rgb`` ``[N, 3, L, S, S]`` (uint8 or float32, 0..255) and ``thermal`` ``[N, 1, L, S, S]``
(float16 or float32, degC), as many of the two as there are, and ``fps``, one number. N recordings of L frames on the
grid of the model, as ``edge/clips`` makes them. A video goes through the deployed detector, crop and time grid
(:mod:`export.clip_video`). The synthetic recordings are drawn from the ranges that the default preset validates on,
with seeds of their own, through the device's tracker, time grid and area means.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bundle import Channel
from edge.errors import InputError, first_line
from training.datasets.synthetic import recording_from_scene
from training.recipe import preset_from_toml

__all__ = [
    "SCENE",
    "Clips",
    "Geometry",
    "Recording",
    "clips_from_npz",
    "clips_from_scene",
    "held_apart",
    "joined",
    "npz_from_clips",
]

SCENE = "scene"
"""Stands for the synthetic recordings where files of clips are named."""

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
class Recording:
    """``frames`` float32 ``[C, L, S, S]``; those of an ``absent`` modality are constant and say nothing."""

    frames: npt.NDArray[np.float32]
    absent: frozenset[Channel] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """Recordings and what they are, in words."""

    recordings: tuple[Recording, ...]
    origin: str


def joined(sources: Sequence[Clips]) -> Clips:
    """All of them."""
    return Clips(tuple(one for clips in sources for one in clips.recordings), " and ".join(c.origin for c in sources))


def held_apart(sources: Sequence[Clips]) -> tuple[Clips, Clips]:
    """What ranges are chosen on, and what judges: of each source every other recording, a single one judges."""
    return _every_other(sources, 1), _every_other(sources, 0)


def _every_other(sources: Sequence[Clips], first: int) -> Clips:
    """Of each source from the last but ``first`` on backwards."""
    parts = []
    for clips in sources:
        chosen = clips.recordings[::-1][first::2][::-1]
        origin = clips.origin if len(chosen) == len(clips.recordings) else f"{len(chosen)} of {clips.origin}"
        parts += [Clips(chosen, origin)] if chosen else []
    return joined(parts)


def clips_from_scene(geometry: Geometry, count: int, first: int = 0) -> Clips:
    """``count`` seeded recordings of 32 s for ``geometry``, from number ``first`` on."""
    data = msgspec.structs.replace(preset_from_toml("default").data, fps=geometry.fps, frames=geometry.frames)
    data = msgspec.structs.replace(data, pixels=max(data.pixels, geometry.size))
    channels = sum(3 if channel == "rgb" else 1 for channel in geometry.channels)
    length = max(round(SECONDS * geometry.fps), geometry.frames)
    seeds = [(_SEED, number) for number in range(first, first + count)]
    drawn = (recording_from_scene(data, geometry.size, channels, length, seed).frames for seed in seeds)
    origin = f"{count} recordings of the synthetic validation distribution, seeds from {seeds[0]}"
    return Clips(tuple(Recording(np.ascontiguousarray(frames, np.float32)) for frames in drawn), origin)


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
    return Clips(tuple(map(Recording, frames)), f"{len(frames)} recordings of {path.name}")


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
    """Write ``clips``, of one length, as a clip set."""
    ends = np.cumsum([3 if channel == "rgb" else 1 for channel in geometry.channels])[:-1]
    frames = np.stack([recording.frames for recording in clips.recordings])
    arrays: dict[str, npt.NDArray[np.generic]] = {"fps": np.array(geometry.fps)}
    arrays |= zip(geometry.channels, np.split(frames, ends, axis=1), strict=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
