"""JPEG pictures as UVC cameras send them, and the decoder that :mod:`edge.cameras.v4l2` has for them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.cameras.uvc import Shot
from edge.cameras.uvc_session import Decoder, Picture
from edge.cameras.uvc_structs import PixelLayout, fourcc_from_text
from edge.cameras.v4l2 import decoder_for
from edge.errors import InputError

__all__ = ["decoder", "jpeg_from_rgb", "rgb_from_jpeg"]

_OPTIONS = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422)
"""Colour at half the resolution across, as most UVC cameras send it."""


def jpeg_from_rgb(image: npt.NDArray[Any], quality: int) -> bytes:
    """A picture ``[H, W, 3]`` compressed."""
    bgr = cv2.cvtColor(image.astype(np.uint8, copy=False), cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality, *_OPTIONS])
    assert done, "OpenCV writes JPEG"
    return data.tobytes()


def decoder() -> Decoder:
    """A fresh one of the driver's."""
    return decoder_for(PixelLayout(0, 0, fourcc_from_text("MJPG")))


def rgb_from_jpeg(decoder: Decoder, data: bytes) -> npt.NDArray[np.uint8]:
    """The next picture ``[H, W, 3]``, decoded as the driver does; InputError where it cannot be."""
    picture = decoder.picture(Shot(data, 0, monotonic=True, at_exposure=True, sequence=0, damaged=False), 0)
    if not isinstance(picture, Picture):
        raise InputError("a JPEG that OpenCV wrote cannot be decoded by FFmpeg; run the tests of edge/cameras/v4l2.py")
    image: npt.NDArray[np.uint8] = picture.image
    return image
