"""Pixels without loss, in a form that zstd packs well and fast.

Neighbouring rows are alike, and so are the colours of one pixel: what is kept is green, red less green and blue less
green, each as the difference to the row above, modulo 256. 16- and 32-bit pixels are kept as differences to the row
above, and their low bytes, which are noise, apart from their high ones. Both ways are whole-array operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["bytes_from_pixels", "pixels_from_bytes"]

_UNSIGNED: dict[int, str] = {1: "<u1", 2: "<u2", 4: "<u4"}


def bytes_from_pixels(image: npt.NDArray[Any]) -> bytes:
    """As many bytes as the image has: uint8 ``[H, W, 3]``, or uint8, uint16 or float32 ``[H, W]``."""
    if image.ndim == 3:
        green = image[..., 1]
        planes = np.stack([green, image[..., 0] - green, image[..., 2] - green])
    else:
        planes = np.ascontiguousarray(image).view(_UNSIGNED[image.dtype.itemsize])[None]
    differences = planes.copy()
    differences[:, 1:] -= planes[:, :-1]
    return _by_significance(differences).tobytes()


def pixels_from_bytes(data: bytes, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The image of ``shape`` again; ValueError when ``data`` has not its size."""
    kind = np.dtype(dtype).newbyteorder("<")
    height, width = shape[:2]
    channels = shape[2] if len(shape) == 3 else 1
    if len(data) != height * width * channels * kind.itemsize:
        raise ValueError(f"{len(data)} bytes of pixels for {list(shape)} of {kind}")
    split = np.frombuffer(data, np.uint8).reshape(kind.itemsize, channels, height, width)
    differences = np.moveaxis(split, 0, -1).copy().view(_UNSIGNED[kind.itemsize])[..., 0]
    planes = np.cumsum(differences, axis=1, dtype=differences.dtype)
    if len(shape) == 2:
        whole: npt.NDArray[Any] = planes[0].view(kind)
        return whole
    green = planes[0]
    return np.stack([planes[1] + green, green, planes[2] + green], axis=-1)


def _by_significance(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Unsigned ``[...]`` as bytes ``[itemsize, ...]``, the least significant first."""
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return np.moveaxis(little[..., None].view(np.uint8), -1, 0)
