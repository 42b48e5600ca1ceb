"""Recordings from video files, as the device would see them, and the recordings that a command names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import msgspec
import numpy as np

from edge.bundle import Bundle, load_bundle
from edge.cameras import camera_from_uri
from edge.errors import InputError
from edge.faces import detector_by_name
from edge.faces.track import FaceTracker
from export.clip_set import SCENE, Clips, Geometry, Recording, clips_from_npz, clips_from_scene
from training.yardstick.tape import Tape, tape_from_cameras

__all__ = ["clips_from_video", "clips_from_words"]


def clips_from_words(words: Sequence[str], geometry: Geometry, count: int, first: int = 0) -> tuple[Clips, ...]:
    """What the words name: ``scene`` (without words too) for ``count`` synthetic recordings, .npz files, videos."""
    return tuple(_source(word, geometry, count, first) for word in words or (SCENE,))


def _source(word: str, geometry: Geometry, count: int, first: int) -> Clips:
    if word == SCENE:
        return clips_from_scene(geometry, count, first)
    return clips_from_npz(Path(word), geometry) if word.endswith(".npz") else clips_from_video(Path(word), geometry)


def clips_from_video(path: Path, geometry: Geometry) -> Clips:
    """The longest unbroken view of a face in an RGB video, one recording; thermal, where wanted, is absent.

    InputError when the model sees no RGB, the file cannot be read, or no face stays for a window.
    """
    if "rgb" not in geometry.channels:
        raise InputError(f"{path}: a video has no thermal, which is all this model sees; name a clip set (.npz)")
    if not path.is_file():
        raise InputError(f"{path}: no such file; name a clip set (.npz), a video, or {SCENE!r}")
    camera = camera_from_uri(f"video:{quote(str(path))}", "rgb")
    frames = _longest(tape_from_cameras(_stand_in(geometry), [camera], FaceTracker(detector_by_name("haar"))))
    if len(frames) < geometry.frames:
        raise InputError(f"{path}: a face for {len(frames)} frames of the model, wanted {geometry.frames} in one piece")
    absent = frozenset(geometry.channels) - {"rgb"}
    seen = np.ascontiguousarray(frames.swapaxes(0, 1), np.float32)
    return Clips((Recording(seen, absent),), f"{path.name}{' (no thermal)' if absent else ''}")


def _longest(tape: Tape) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """``[n, C, S, S]`` between two restarts."""
    parts = np.split(tape.data, np.flatnonzero(tape.restart))
    return max(parts, key=len)


def _stand_in(geometry: Geometry) -> Bundle:
    """The default bundle with other measures: what stands in front of a model asks for nothing else."""
    default = load_bundle(None)
    about = {"fps": geometry.fps, "frames": geometry.frames, "size": geometry.size, "channels": geometry.channels}
    return replace(default, manifest=msgspec.structs.replace(default.manifest, **about))
