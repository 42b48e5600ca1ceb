"""``selftest.npz``: a clip, and the waveforms that a sound runtime gives for it.

It holds ``rgb`` ``[1, 3, F, S, S]`` (uint8 or float32, 0..255) and ``thermal`` ``[1, 1, F, S, S]`` (float16 or float32,
degC), each where the model sees it, and one float32 ``[1, F - 1]`` for each of its tasks; nothing else.

``selftest.stream.npz``, in bundles that have stream graphs, holds float32 ``[1, n]`` for each task: what a stream gives
for the first ``n`` frames of the same clip, in chunks of :data:`STREAM_CHUNK`; as many whole chunks as the clip has.
"""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bundle import MAX_FILE_BYTES, Channel
from edge.errors import first_line

__all__ = [
    "STREAM_CHUNK",
    "STREAM_SELFTEST",
    "SelfTest",
    "selftest_from_npz",
    "stream_frames",
    "stream_waves_from_npz",
]

STREAM_SELFTEST = "selftest.stream.npz"
STREAM_CHUNK = 12

_TYPES: dict[str, tuple[str, ...]] = {"rgb": ("uint8", "float32"), "thermal": ("float16", "float32")}
_MALFORMED = (
    ValueError, KeyError, TypeError, SyntaxError, tokenize.TokenError, zlib.error, zipfile.BadZipFile, OSError,
    EOFError, RuntimeError,
)  # fmt: skip
"""What zipfile and numpy raise for content that is not what it should be."""


@dataclass(frozen=True, slots=True, eq=False)
class SelfTest:
    """``clip`` and ``waves`` as they are stored; the clip's channels in the order of the model's input."""

    clip: Mapping[Channel, npt.NDArray[Any]]
    waves: Mapping[str, npt.NDArray[np.float32]]

    @property
    def frames(self) -> npt.NDArray[np.float32]:
        """The clip as a model takes it, float32 ``[1, C, F, S, S]``."""
        return np.concatenate([part.astype(np.float32) for part in self.clip.values()], axis=1)


def selftest_from_npz(
    data: bytes, channels: tuple[Channel, ...], tasks: tuple[str, ...], frames: int, size: int
) -> SelfTest:
    """Read ``data`` for a model of these channels and tasks, ``frames`` (F) and ``size`` (S).

    ValueError in one line when it holds anything else, more than ``MAX_FILE_BYTES`` when unpacked (it is never unpacked
    then), or a number that is not finite.
    """
    wanted: dict[str, tuple[int, ...]] = dict.fromkeys(tasks, (1, frames - 1))
    for channel in channels:
        wanted[channel] = (1, 3 if channel == "rgb" else 1, frames, size, size)
    held = _unpack(data, wanted)
    return SelfTest({channel: held[channel] for channel in channels}, {task: held[task] for task in tasks})


def stream_frames(frames: int) -> int:
    """How many frames of a clip of ``frames`` a stream is tested with."""
    return frames // STREAM_CHUNK * STREAM_CHUNK


def stream_waves_from_npz(data: bytes, tasks: tuple[str, ...], frames: int) -> dict[str, npt.NDArray[np.float32]]:
    """What a stream gives for the self-test's clip of ``frames`` (F); ValueError as :func:`selftest_from_npz`."""
    return _unpack(data, dict.fromkeys(tasks, (1, stream_frames(frames))))


def _unpack(data: bytes, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[Any]]:
    """Arrays of these names and shapes, and no others."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_directory(archive, wanted)
            return {name: _array(_unpacked(archive, name), name, shape) for name, shape in wanted.items()}
    except _MALFORMED as error:
        raise ValueError(first_line(error)) from error


def _check_directory(archive: zipfile.ZipFile, wanted: Mapping[str, Any]) -> None:
    """The archive has these arrays and no other, not too large, and packed so that they can be unpacked in pieces."""
    entries = archive.infolist()
    names = sorted(entry.filename for entry in entries)
    if names != sorted(f"{name}.npy" for name in wanted):
        seen = ", ".join(name.removesuffix(".npy") for name in names[:8]) or "nothing"
        raise ValueError(f"it holds {seen!a}, wanted {', '.join(wanted)}")
    if not {entry.compress_type for entry in entries} <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ValueError("it is packed by another method than deflate")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_FILE_BYTES:
        raise ValueError(f"{unpacked} bytes unpacked, wanted at most {MAX_FILE_BYTES}")


def _unpacked(archive: zipfile.ZipFile, name: str) -> bytes:
    """As many bytes as the directory says: ``ZipFile.read`` would unpack first and count then."""
    entry = archive.getinfo(f"{name}.npy")
    with archive.open(entry) as member:
        return member.read(entry.file_size)


def _array(data: bytes, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The array, whose type and shape are compared before anything of its size is made."""
    stream = io.BytesIO(data)
    is_old = np.lib.format.read_magic(stream) == (1, 0)
    read_header = np.lib.format.read_array_header_1_0 if is_old else np.lib.format.read_array_header_2_0
    seen, _, dtype = read_header(stream)
    types = _TYPES.get(name, ("float32",))
    if seen != shape or dtype not in [np.dtype(one) for one in types]:
        raise ValueError(f"{name} is {dtype} {list(seen)}, wanted {' or '.join(types)} {list(shape)}")
    if math.prod(shape) * dtype.itemsize > len(data):
        raise ValueError(f"{name} is cut short")
    array: npt.NDArray[Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    return array
