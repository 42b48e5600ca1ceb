"""Video files for tests, written through FFmpeg."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy.typing as npt

__all__ = ["write_video"]


def write_video(
    path: Path,
    images: list[npt.NDArray[Any]],
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rate: Fraction | int = 30,
    pts: list[int] | None = None,
    time_base: Fraction = Fraction(1, 1000),
    front: bool = False,
) -> Path:
    """Encode ``[H, W, 3]`` uint8 RGB or ``[H, W]`` uint16 images; ``front`` puts an MP4's index before its pictures."""
    source_format = "rgb24" if images[0].ndim == 3 else "gray16le"
    with av.open(str(path), "w", options={"movflags": "faststart"} if front else {}) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        if pts is not None:
            stream.time_base = stream.codec_context.time_base = time_base
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format=source_format)
            if pts is not None:
                frame.pts, frame.time_base = pts[index], time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
