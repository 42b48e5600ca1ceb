"""The synthetic scene as a pair of live cameras that run for ever: ``again:?seconds=20&...``, as ``synthetic:`` else.

Frames are drawn once, RGB as the JPEG that a UVC camera sends, then played to the end and back again, so that nothing
jumps. They come at their time on CLOCK_MONOTONIC and are decoded as those of :mod:`edge.cameras.v4l2`; who is four
frames late loses the oldest, as in a driver with four buffers. Call :func:`install` first: the cameras of the program
do not hold this one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from edge.benchmarks.mjpeg import decoder, jpeg_from_rgb, rgb_from_jpeg
from edge.cameras import SCHEMES, Camera, camera_from_uri
from edge.cameras.synthetic import SyntheticCamera
from edge.errors import UsageError
from edge.frames import Frame, FrameKind
from edge.uri import Uri

__all__ = ["LiveScene", "install", "newest_ns", "there_and_back"]

SCHEME = "again"
BUFFERS = 4
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """All frames of a scene: thermal ones whole, RGB ones as JPEG."""

    frames: tuple[Frame | bytes, ...]
    fps: float


class LiveScene:
    """One of the two cameras."""

    def __init__(self, name: str, kind: FrameKind, drawn: Drawn) -> None:
        self.name, self.live = name, True
        self.kind: FrameKind = kind
        self.drawn = drawn
        self._decoder = decoder()
        self._seq = 0
        self._going = False
        self.start_ns = 0

    def open(self) -> None:
        """The first frame is taken now."""
        self._seq, self.start_ns, self._going = 0, time.monotonic_ns(), True
        self._decoder = decoder()
        _OPEN[self.kind] = self

    def read(self) -> Frame | None:
        """The next frame, at its time; None when not open."""
        if not self._going:
            return None
        late = int((time.monotonic_ns() - self.start_ns) * self.drawn.fps / _NS) - self._seq
        self._seq += max(0, late - BUFFERS + 1)
        pts_ns = self.pts_ns(self._seq)
        time.sleep(max(0, pts_ns - time.monotonic_ns()) / _NS)
        self._seq += 1
        return self._frame(self._seq - 1, pts_ns)

    def close(self) -> None:
        """End the stream."""
        self._going = False

    def pts_ns(self, seq: int) -> int:
        """When a frame is taken."""
        return self.start_ns + round(seq * _NS / self.drawn.fps)

    def newest_ns(self, at_ns: int) -> int:
        """Stamp of the last frame taken at or before a time."""
        seq = int((at_ns - self.start_ns) * self.drawn.fps / _NS) + 1
        while self.pts_ns(seq) > at_ns:
            seq -= 1
        return self.pts_ns(seq)

    def _frame(self, seq: int, pts_ns: int) -> Frame:
        shown = self.drawn.frames[there_and_back(seq, len(self.drawn.frames))]
        if isinstance(shown, Frame):
            return replace(shown, pts_ns=pts_ns, clock="monotonic", seq=seq)
        return Frame(rgb_from_jpeg(self._decoder, shown), pts_ns, "monotonic", seq, "rgb")


_OPEN: dict[FrameKind, LiveScene] = {}


def newest_ns(at_ns: int) -> int:
    """Stamp of the last RGB frame taken at or before ``at_ns``."""
    return _OPEN["rgb"].newest_ns(at_ns)


def jpeg_kb() -> float:
    """Mean size of the RGB pictures."""
    sizes = [len(frame) for frame in _OPEN["rgb"].drawn.frames if isinstance(frame, bytes)]
    return round(sum(sizes) / len(sizes) / 1e3, 1)


def there_and_back(k: int, count: int) -> int:
    """0, 1, ... ``count - 1``, ... 1, 0, 1, ...; no place comes twice in a row."""
    place = k % max(2 * (count - 1), 1)
    return min(place, 2 * (count - 1) - place)


def install() -> None:
    """Let ``again:`` name these cameras in this process."""
    SCHEMES[SCHEME] = __name__


def from_uri(uri: Uri, kind: FrameKind) -> Camera:
    """The RGB or thermal camera of ``again:?...``, its frames drawn; UsageError as of ``synthetic:``."""
    camera = camera_from_uri(uri.text.replace(SCHEME, "synthetic", 1), kind)
    if not isinstance(camera, SyntheticCamera):
        raise UsageError(f"{uri.text}: a scene that is turned cannot be played again; leave rotate out")
    return LiveScene(uri.text, kind, drawn(camera))


def drawn(camera: SyntheticCamera) -> Drawn:
    """Every frame of a scene."""
    camera.open()
    frames = iter(camera.read, None)
    query = camera.query
    if camera.kind == "rgb":
        return Drawn(tuple(jpeg_from_rgb(frame.image, query.quality) for frame in frames), query.fps)
    return Drawn(tuple(frames), query.thermal_fps)


_CHECK: type[Camera] = LiveScene
