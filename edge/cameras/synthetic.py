"""The synthetic scene as a pair of cameras: ``synthetic:?hr=72&rr=15&seconds=40&seed=1&...``.

RGB and thermal camera of one URI see the same scene at two rates of their own, which nothing synchronises. Every
parameter of :class:`edge.cameras.scene.SceneParams` is a parameter of the URI, and so is every one of
:class:`SyntheticQuery`: rates, sizes, jitter, drops, and faults that happen at a known time. Frames are a function of
the URI alone: they never depend on when or how fast they are read. With ``people=2`` two subjects sit side by side, one
in each half of the picture (``edge/cameras/synthetic_two.py``).
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from edge.cameras import Camera
from edge.cameras.codec import CodecName, codec_by_name
from edge.cameras.scene import Scene, SceneParams, View
from edge.cameras.scene_params import stream
from edge.cameras.synthetic_two import TwoScenes
from edge.errors import InputError, UsageError
from edge.frames import Frame, FrameKind
from edge.uri import Uri, query_as
from edge.vitals import Truth

__all__ = ["SyntheticCamera", "SyntheticQuery", "from_uri"]

SCALE_DEGC, OFFSET_DEGC = 0.01, -273.15
"""Thermal frames are uint16 centikelvin."""
HR_TRUTH_S, RR_TRUTH_S = 10.0, 30.0

Rate = Annotated[float, Meta(ge=1.0, le=240.0)]
Side = Annotated[int, Meta(ge=16, le=4096)]
Share = Annotated[float, Meta(ge=0.0, le=0.9)]
Seconds = Annotated[float, Meta(ge=0.0)]


class SyntheticQuery(SceneParams, frozen=True, kw_only=True):
    """The scene, its two cameras and their faults. Times are stream seconds; an event of length 0 never happens.

    ``offset_ms`` is when the first thermal frame is taken (the first RGB frame is at 0), ``jitter_ms`` the rms
    irregularity of both cameras' frames, ``drop`` and ``thermal_drop`` the share of frames that are lost.
    ``codec`` is how the RGB camera compresses: ``quality`` (1..100) belongs to ``mjpeg``, ``kbit_s`` to ``h264``.
    ``parallax_px`` moves what the thermal camera sees, in RGB pixels; without it both cameras see the same rectangle.
    While a picture is frozen, identical frames keep coming with true stamps; ``black`` frames are those of a covered
    lens; ``stop_at_s`` pulls a camera out.

    ``people=2``: the second subject, on the right, differs in ``hr2``, ``rr2``, ``seed2`` and in when it leaves
    (``leave2_at_s``, ``leave2_s``); at ``swap_at_s`` the two change places, within ``swap_s`` (0: from one frame to the
    next, for ever; None: never).
    """

    fps: Rate = 30.0
    thermal_fps: Rate = 8.7
    width: Side = 640
    height: Side = 480
    thermal_width: Side = 160
    thermal_height: Side = 120
    offset_ms: Annotated[float, Meta(ge=0.0, le=1000.0)] = 13.0
    jitter_ms: Annotated[float, Meta(ge=0.0, le=100.0)] = 0.0
    codec: CodecName = "raw"
    quality: Annotated[int, Meta(ge=1, le=100)] = 90
    kbit_s: Annotated[float, Meta(ge=10.0, le=100_000.0)] = 2000.0
    drop: Share = 0.0
    thermal_drop: Share = 0.0
    parallax_px: Annotated[float, Meta(ge=-1000.0, le=1000.0)] = 0.0
    freeze_at_s: Seconds = 0.0
    freeze_s: Seconds = 0.0
    thermal_freeze_at_s: Seconds = 0.0
    thermal_freeze_s: Seconds = 0.0
    black_at_s: Seconds = 0.0
    black_s: Seconds = 0.0
    stop_at_s: Seconds | None = None
    thermal_stop_at_s: Seconds | None = None
    people: Literal[1, 2] = 1
    hr2: Annotated[float, Meta(ge=30.0, le=240.0)] = 96.0
    rr2: Annotated[float, Meta(ge=3.0, le=60.0)] = 20.0
    seed2: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 2
    leave2_at_s: Seconds = 0.0
    leave2_s: Seconds = 0.0
    swap_at_s: Seconds | None = None
    swap_s: Seconds = 0.0


class SyntheticCamera:
    """One of the two cameras on a scene."""

    def __init__(self, name: str, kind: FrameKind, query: SyntheticQuery) -> None:
        self.name, self.query = name, query
        self.kind: FrameKind = kind
        self.live = False
        self.scene = Scene(query)
        self._shown = self.scene if query.people == 1 else _two(query)
        self.view = _view(query, kind)
        self._stamps_s, self._kept = _schedule(query, kind)
        self._next = len(self._kept)
        self._codec = codec_by_name("raw", quality=query.quality, kbit_s=query.kbit_s, fps=query.fps)
        self._frozen: npt.NDArray[np.uint8] | None = None  # what a frozen camera sends again and again

    def open(self) -> None:
        """Start again at the first frame."""
        query = self.query
        self._next, self._frozen = 0, None
        self._codec = codec_by_name(query.codec, quality=query.quality, kbit_s=query.kbit_s, fps=query.fps)

    def read(self) -> Frame | None:
        """The next frame that was not dropped; None at the end of the scene (or when not open)."""
        if self._next >= len(self._kept):
            return None
        seq = int(self._kept[self._next])
        t_s = float(self._stamps_s[seq])
        query = self.query
        stop_s = query.stop_at_s if self.kind == "rgb" else query.thermal_stop_at_s
        if stop_s is not None and t_s >= stop_s:
            raise InputError(f"{self.name}: the {self.kind} camera stopped at {stop_s} s, as asked; plug it in again")
        self._next += 1
        pts_ns = round(t_s * 1e9)
        return self._rgb(t_s, pts_ns, seq) if self.kind == "rgb" else self._thermal(t_s, pts_ns, seq)

    def close(self) -> None:
        """End the stream."""
        self._next = len(self._kept)

    def truth_at(self, pts_ns: int) -> Truth | None:
        """True rates at a stamp: the mean pulse rate of the last 10 s, the mean breathing rate of the last 30 s.

        None outside the scene, where nobody lives in it (a photograph, a wall), and of two people.
        """
        t_s = pts_ns * 1e-9
        if self.query.face != "live" or self.query.people > 1 or not 0.0 <= t_s <= self.query.seconds + 1.0:
            return None
        return Truth(self.scene.mean_hr_per_min(t_s, HR_TRUTH_S), self.scene.mean_rr_per_min(t_s, RR_TRUTH_S))

    def _rgb(self, t_s: float, pts_ns: int, seq: int) -> Frame:
        is_frozen = _during(t_s, self.query.freeze_at_s, self.query.freeze_s)
        image = self._frozen if is_frozen else None
        if image is None:
            image = self._codec.pass_through(self._picture(t_s))
        self._frozen = image if is_frozen else None
        return Frame(image, pts_ns, "media", seq, "rgb")

    def _picture(self, t_s: float) -> npt.NDArray[np.uint8]:
        """What the camera sees, before it compresses; a frozen picture is that of the moment at which it froze."""
        query = self.query
        if _during(t_s, query.black_at_s, query.black_s):
            return np.zeros((query.height, query.width, 3), np.uint8)
        seen_s = query.freeze_at_s if _during(t_s, query.freeze_at_s, query.freeze_s) else t_s
        picture: npt.NDArray[np.uint8] = self._shown.render_rgb([seen_s], self.view)[0]
        return picture

    def _thermal(self, t_s: float, pts_ns: int, seq: int) -> Frame:
        query = self.query
        shut_s = self.scene.shutter_closed_since(t_s)
        frozen = _during(t_s, query.thermal_freeze_at_s, query.thermal_freeze_s)
        seen_s = query.thermal_freeze_at_s if frozen else t_s if shut_s is None else shut_s
        degc = self._shown.render_thermal([seen_s], self.view)[0]
        image = np.rint((degc - OFFSET_DEGC) / SCALE_DEGC).clip(0, 65535).astype(np.uint16)
        return Frame(image, pts_ns, "media", seq, "thermal", SCALE_DEGC, OFFSET_DEGC, shut_s is not None)


def from_uri(uri: Uri, kind: FrameKind) -> Camera:
    """The RGB or thermal camera of ``synthetic:?...``, not yet opened.

    Raises
    ------
    UsageError
        A target (there is none to name), an unknown parameter, a value out of range.
    """
    if uri.target:
        raise UsageError(f"{uri.text}: synthetic: has no target; seen {uri.target!r}; parameters follow a '?'")
    query = query_as(uri, SyntheticQuery)
    if query.codec == "h264" and (query.width % 2 or query.height % 2):
        raise UsageError(f"{uri.text}: codec=h264 wants even sides; seen {query.width}x{query.height}")
    if query.people == 2 and (query.width % 2 or query.thermal_width % 2):
        raise UsageError(f"{uri.text}: people=2 wants even widths; seen {query.width} and {query.thermal_width}")
    return SyntheticCamera(uri.text, kind, query)


def _two(query: SyntheticQuery) -> TwoScenes:
    other = {"hr": query.hr2, "rr": query.rr2, "seed": query.seed2}
    leaves = {"leave_at_s": query.leave2_at_s, "leave_s": query.leave2_s}
    return TwoScenes(query, query.swap_at_s, query.swap_s, **other, **leaves)


def _view(query: SyntheticQuery, kind: FrameKind) -> View:
    """The whole scene; the thermal camera sees the same rectangle in its own pixels, shifted by the parallax."""
    whole = View.whole(query.width, query.height)
    if kind == "rgb":
        return whole
    shift = query.parallax_px / query.height
    return View(whole.x + shift, whole.y, whole.width, whole.height, query.thermal_width, query.thermal_height)


def _schedule(query: SyntheticQuery, kind: FrameKind) -> tuple[np.ndarray, np.ndarray]:
    """Stamps in seconds of all frames, and the indices of those that are not dropped."""
    rgb = kind == "rgb"
    fps, drop, start_s = (
        (query.fps, query.drop, 0.0) if rgb else (query.thermal_fps, query.thermal_drop, query.offset_ms * 1e-3)
    )
    rng = stream(query.seed, f"stamps {kind}")
    even = start_s + np.arange(int(np.ceil((query.seconds - start_s) * fps))) / fps
    jitter = np.clip(query.jitter_ms * 1e-3 * rng.standard_normal(len(even)), -0.45 / fps, 0.45 / fps)
    stamps_s = np.maximum(even + jitter, 0.0)
    return stamps_s, np.flatnonzero(rng.random(len(even)) >= drop)


def _during(t_s: float, start_s: float, length_s: float) -> bool:
    return start_s <= t_s < start_s + length_s
