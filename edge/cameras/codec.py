"""What a camera's compression does to a picture: each one is encoded and decoded again, in order.

For the synthetic camera, so that a scene can be seen as a real camera would send it. Encoders run with one thread and
without look-ahead, so a picture comes out for each that goes in, and the same pictures give the same pixels.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal, Protocol

import av
import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import UsageError

__all__ = ["Codec", "CodecName", "codec_by_name"]

CodecName = Literal["raw", "mjpeg", "h264"]
Image = npt.NDArray[np.uint8]

KEY_EVERY_S = 2.0
"""Cameras send a whole picture about so often; between them are differences."""


class Codec(Protocol):
    """Pictures RGB uint8 ``[H, W, 3]``, all of one size, in order."""

    def pass_through(self, image: Image) -> Image:
        """What the receiver sees of ``image``."""


class _Raw:
    def pass_through(self, image: Image) -> Image:
        return image


class _Mjpeg:
    """Every picture a JPEG of its own, with colour at half the resolution, as UVC cameras send it."""

    def __init__(self, quality: int) -> None:
        self._options = [cv2.IMWRITE_JPEG_QUALITY, quality]

    def pass_through(self, image: Image) -> Image:
        _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), self._options)
        seen = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert seen is not None
        return np.asarray(cv2.cvtColor(seen, cv2.COLOR_BGR2RGB), np.uint8)


class _H264:
    """An IP camera's stream: constant bit rate, no B pictures."""

    def __init__(self, kbit_s: float, fps: float) -> None:
        self._kbit_s, self._fps = kbit_s, fps
        self._encoder: Any = None
        self._decoder: Any = None
        self._sent = 0

    def pass_through(self, image: Image) -> Image:
        if self._encoder is None:
            self._start(image.shape[1], image.shape[0])
        picture = av.VideoFrame.from_ndarray(image, format="rgb24")
        picture.pts, self._sent = self._sent, self._sent + 1
        for packet in self._encoder.encode(picture):
            for seen in self._decoder.decode(packet):
                return np.asarray(seen.to_ndarray(format="rgb24", threads=1), np.uint8)
        raise UsageError("the H.264 encoder of this PyAV holds pictures back; use codec=mjpeg")

    def _start(self, width: int, height: int) -> None:
        try:
            self._encoder = av.CodecContext.create("libx264", "w")
        except (av.FFmpegError, ValueError) as error:
            raise UsageError("codec=h264 needs a PyAV with the libx264 encoder; use codec=mjpeg") from error
        rate = Fraction(self._fps).limit_denominator(1001)
        encoder = self._encoder
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.framerate, encoder.time_base, encoder.thread_count = rate, 1 / rate, 1
        rate_options = {"b": f"{self._kbit_s}k", "maxrate": f"{self._kbit_s}k", "bufsize": f"{self._kbit_s}k"}
        encoder.options = {
            "preset": "veryfast", "tune": "zerolatency", "g": str(round(KEY_EVERY_S * self._fps)), **rate_options,
        }  # fmt: skip
        self._decoder = av.CodecContext.create("h264", "r")
        self._decoder.thread_count = 1
        self._decoder.flags |= av.codec.context.Flags.low_delay


def codec_by_name(name: CodecName, *, quality: int, kbit_s: float, fps: float) -> Codec:
    """A fresh codec. ``quality`` (1..100) is that of ``mjpeg``, ``kbit_s`` and ``fps`` those of ``h264``.

    ``h264`` takes pictures with even sides only; UsageError, from their first one, where PyAV has no encoder for it.
    """
    if name == "mjpeg":
        return _Mjpeg(quality)
    return _H264(kbit_s, fps) if name == "h264" else _Raw()
