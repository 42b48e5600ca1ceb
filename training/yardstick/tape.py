"""What one person's buffers were told in a recording, kept, so that many models can be asked about the same.

Everything in front of the model (cameras, detector, tracker, crop, pairing, time grid, motion) does not depend on its
weights and takes nearly all the time. It is run once through the deployed pipeline with a :class:`Recorder` in the
person's place; :func:`replay` then tells a real :class:`edge.person.Person` the very same, in the same order, with any
bundle of the same size, frame rate and window.
"""

from __future__ import annotations

import hashlib
import heapq
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

import edge
from edge.bundle import Bundle, Task
from edge.cameras import Camera, camera_from_uri
from edge.cameras.synthetic import SyntheticCamera
from edge.clips.grid import Mark, ModelFrame
from edge.errors import InputError
from edge.faces import detector_by_name
from edge.faces.track import FaceTracker, Tracker
from edge.frames import Clip, Frame, FrameKind
from edge.person import Look, Person, Waves
from edge.pipeline import Options, Output, Pipeline
from edge.runtimes import Runtime
from edge.signals.guard import GuardRules
from edge.signals.state import Situation
from edge.stream_graph import StreamEngine
from edge.vitals import Estimate, Vitals

__all__ = [
    "Tape",
    "front_fingerprint",
    "kept_tape",
    "load_tape",
    "replay",
    "save_tape",
    "tape_from_cameras",
    "tapes_of_seats",
]

Event = tuple[str, int, Situation | None, Situation | None]
"""``("take", frame index)``, ``("infer", 0)``, ``("forget", 0)`` or ``("look", tick in ns, HR and RR situation)``."""

_FRONT = (
    "bed.py", "cameras", "faces", "clips", "follower.py", "frames.py", "intake.py", "pipeline.py", "signals/state.py",
    "uri.py", "vitals.py", "zones.py",
)  # fmt: skip
_LIBRARIES = ("numpy", "scipy", "opencv-python-headless", "av")
"""The parts of ``edge``, and the packages, that decide what a tape holds; and this file, that it can be read."""


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """``thermal`` and ``camera`` as in :class:`edge.person.Person`.

    Of ``N`` model frames: grid index ``k``, time ``t_ns``, ``marks``, ``restart`` ``[N]``, ``data`` float32
    ``[N, C, S, S]`` and the displacement ``moves`` float32 ``[N, 2]``. ``came_ns`` ``[N]`` is the stamp of the camera
    frame with which each came: later than ``t_ns`` where it had to wait for the thermal camera.
    """

    thermal: bool
    camera: bool
    hop_s: float
    fps: float
    k: npt.NDArray[np.int64]
    t_ns: npt.NDArray[np.int64]
    marks: npt.NDArray[np.int64]
    restart: npt.NDArray[np.bool_]
    data: npt.NDArray[np.float32]
    moves: npt.NDArray[np.float32]
    came_ns: npt.NDArray[np.int64]
    events: tuple[Event, ...]

    def frame(self, index: int) -> ModelFrame:
        """Model frame ``index`` as it was."""
        return ModelFrame(
            int(self.k[index]), int(self.t_ns[index]), self.data[index], Mark(int(self.marks[index])),
            bool(self.restart[index]),
        )  # fmt: skip


class Recorder:
    """Stands in the person's place and writes down what it is told. Fits ``edge.person.Subject``."""

    looks = 0
    """How many were asked of it."""

    def __init__(self, bundle: Bundle, *, thermal: bool, camera: bool, hop_s: float, now_ns: Callable[[], int]) -> None:
        self._now_ns, self._came_ns = now_ns, list[int]()
        self._fps, self._thermal, self._camera, self._hop_s = bundle.fps, thermal, camera, hop_s
        self._frames: list[ModelFrame] = []
        self._moves: list[npt.NDArray[np.float32]] = []
        self._events: list[Event] = []

    def take(self, frame: ModelFrame, displacement: npt.NDArray[np.float32]) -> Sequence[Waves]:
        """Write down a frame."""
        self._events.append(("take", len(self._frames), None, None))
        self._frames.append(frame)
        self._came_ns.append(self._now_ns())
        self._moves.append(displacement)
        return ()

    def clip(self) -> Clip | None:
        """Write down that a run of the model was due."""
        self._events.append(("infer", 0, None, None))
        return None

    def accept(self, _outputs: Mapping[Task, npt.NDArray[np.float32]]) -> None:
        """Not called: no clip was given."""
        raise AssertionError("a recorder gives no clip")

    def look(self, tick_ns: int, hr: Situation, rr: Situation) -> Look:
        """Write down that a look was due; what it would show is not known yet."""
        self.looks += 1
        self._events.append(("look", tick_ns, hr, rr))
        nothing = Estimate(None, 0.0, "starting", ("warming_up",), 0.0, 0, None)
        return Look(nothing, nothing, None)

    def forget(self) -> None:
        """Write down that another person or place came."""
        self._events.append(("forget", 0, None, None))

    def pace(self, hop_s: float) -> None:
        """Not called: only what is live changes its pace."""
        raise AssertionError(f"a recording is played at its own pace; asked for a hop of {hop_s} s")

    def tape(self, size: int) -> Tape:
        """All that was written down."""
        frames, channels = self._frames, 4 if self._thermal else 3
        empty = np.zeros((0, channels, size, size), np.float32)
        return Tape(
            self._thermal,
            self._camera,
            self._hop_s,
            self._fps,
            np.array([frame.k for frame in frames], np.int64),
            np.array([frame.t_ns for frame in frames], np.int64),
            np.array([int(frame.marks) for frame in frames], np.int64),
            np.array([frame.restart for frame in frames], np.bool_),
            np.stack([frame.data for frame in frames]) if frames else empty,
            np.stack(self._moves) if frames else np.zeros((0, 2), np.float32),
            np.array(self._came_ns, np.int64),
            tuple(self._events),
        )


class _NoRuntime:
    """A recorder never asks it."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a recorder runs no model; asked for {name}")


def tape_from_cameras(bundle: Bundle, cameras: Sequence[Camera], tracker: Tracker) -> Tape:
    """Play cameras (RGB first) through the deployed pipeline up to the model of ``bundle``'s geometry.

    A camera that breaks in between is one that ended there, as for a run that goes on.
    """
    return tapes_of_seats(bundle, cameras, tracker, Options("main", thermal=len(cameras) > 1))[0][1]


def tapes_of_seats(
    bundle: Bundle, cameras: Sequence[Camera], tracker: Tracker, options: Options
) -> list[tuple[str, Tape]]:
    """The same for several people: zone and tape of each seat that was taken, that of the first zone first."""
    made: list[Recorder] = []
    zone_of: dict[int, str] = {}
    looked: dict[int, int] = {}
    now_ns = 0

    def recorder(*arguments: Any, **named: Any) -> Recorder:
        made.append(Recorder(*arguments, now_ns=lambda: now_ns, **named))
        return made[-1]

    pipeline = Pipeline(bundle, _NoRuntime(), tracker, options, recorder)
    for stamp_ns, outputs in _played(pipeline, cameras):
        now_ns = stamp_ns
        for output in outputs:
            if isinstance(output, Vitals):  # made by the look that was asked for last
                asked = next(number for number, one in enumerate(made) if one.looks > looked.get(number, 0))
                zone_of[asked] = output.zone
                looked[asked] = made[asked].looks
    return [(zone, made[number].tape(bundle.size)) for number, zone in sorted(zone_of.items())]


def _played(pipeline: Pipeline, cameras: Sequence[Camera]) -> Iterator[tuple[int, Iterator[Output]]]:
    """Each stamp as it comes, and what it brings about, to be asked for at once."""
    stamp_ns = 0
    for stamp_ns, kind, frame in heapq.merge(*map(_read, cameras), key=lambda item: item[0]):
        yield stamp_ns, pipeline.push(frame) if frame is not None else pipeline.end(kind)
    yield stamp_ns, pipeline.finish()


def _read(camera: Camera) -> Iterator[tuple[int, FrameKind, Frame | None]]:
    """Frames by stamp, then None."""
    camera.open()
    newest_ns = 0
    try:
        while (frame := camera.read()) is not None:
            newest_ns = frame.pts_ns
            yield newest_ns, camera.kind, frame
    except InputError:
        pass
    finally:
        camera.close()
    yield newest_ns, camera.kind, None


def replay(
    tape: Tape,
    bundle: Bundle,
    runtime: Runtime,
    stream: StreamEngine | None = None,
    guard: GuardRules | None = None,
    on_waves: Callable[[int, Waves], None] = lambda *_: None,
) -> Iterator[tuple[int, Look]]:
    """Each look's stream time and what a person with this model shows, in mode ``stream`` where there is an engine.

    ``on_waves`` is told what a stream shows between looks, with the stamp of the camera frame that brought it about.

    ValueError for a bundle of another geometry than the tape's; ``measure.geometry`` names what must be the same.
    """
    if (bundle.fps, bundle.size) != (tape.fps, tape.data.shape[-1]):
        raise ValueError(
            f"the tape is {tape.data.shape[-1]} px at {tape.fps}; the bundle {bundle.size} at {bundle.fps}"
        )
    person = Person(bundle, thermal=tape.thermal, camera=tape.camera, hop_s=tape.hop_s, stream=stream, guard=guard)
    for what, number, hr, rr in tape.events:
        if what == "take":
            for waves in person.take(tape.frame(number), tape.moves[number]):
                on_waves(int(tape.came_ns[number]), waves)
        elif what == "infer":
            clip = person.clip()
            if clip is not None:
                outputs = runtime.infer(clip.data[None])
                person.accept({task: outputs[task][0] for task in bundle.tasks})
        elif what == "forget":
            person.forget()
        else:
            assert hr is not None
            assert rr is not None
            yield number, person.look(number, hr, rr)


# ------------------------------------------------------------------------------------------------------------- on disk

_ARRAYS = ("k", "t_ns", "marks", "restart", "data", "moves", "came_ns")


class _Head(msgspec.Struct, frozen=True):
    thermal: bool
    camera: bool
    hop_s: float
    fps: float
    events: tuple[Event, ...]


def save_tape(tape: Tape, path: Path) -> None:
    """Write ``tape`` as ``.npz`` without objects, whole or not at all."""
    head = msgspec.json.encode(_Head(tape.thermal, tape.camera, tape.hop_s, tape.fps, tape.events))
    arrays = {name: getattr(tape, name) for name in _ARRAYS}
    buffer = io.BytesIO()
    np.savez(buffer, head=np.frombuffer(head, np.uint8), **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(buffer.getvalue())
    part.replace(path)


def kept_tape(bundle: Bundle, uri: str, path: Path) -> tuple[Tape, SyntheticCamera]:
    """The tape of a synthetic scene, RGB and thermal, played unless ``path`` holds it; and who knows the truth."""
    rgb = camera_from_uri(uri, "rgb")
    assert isinstance(rgb, SyntheticCamera)
    tape = load_tape(path)
    if tape is None:
        cameras = [rgb, camera_from_uri(uri, "thermal")]
        tape = tape_from_cameras(bundle, cameras, FaceTracker(detector_by_name("haar")))
        save_tape(tape, path)
    return tape, rgb


def load_tape(path: Path) -> Tape | None:
    """The tape in ``path``; None when there is none or it is not whole."""
    try:
        with np.load(path, allow_pickle=False) as held:
            head = msgspec.json.decode(held["head"].tobytes(), type=_Head)
            arrays = {name: held[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.MsgspecError):
        return None
    return Tape(head.thermal, head.camera, head.hop_s, head.fps, **arrays, events=head.events)


@lru_cache(maxsize=1)
def front_fingerprint() -> str:
    """A hash of the code that decides what a tape holds: a tape made by other code is made anew."""
    root = Path(edge.__file__).resolve().parent
    digest = hashlib.sha256(" ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES).encode())
    for name in _FRONT:
        place = root / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()[:16]
