"""What is played, with which networks, and the tapes of it: the pass that all protocols share.

The part in front of the model does not depend on its weights. It is played once a recording and kept as a tape in a
folder; each protocol then asks every network about every tape, side by side in all processors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from edge.bundle import Bundle
from edge.cameras import camera_from_uri
from edge.faces import detector_by_name
from edge.faces.track import FaceTracker
from training.workers import Workers, cpu_count, workers
from training.yardstick import perturbed
from training.yardstick.distribution import Recording
from training.yardstick.networks import Choice, opened
from training.yardstick.perturbed import CASES, PerturbedCase, open_case
from training.yardstick.tape import Tape, front_fingerprint, load_tape, save_tape, tape_from_cameras

__all__ = ["MAIN", "OnProgress", "Plan", "RowsOfTape", "Source", "case_by_name", "file_sha256", "geometry", "rows_of"]

MAIN = "network"
"""The network that is judged; the others stand beside it."""
OnProgress = Callable[[str, int, int, str], None]
"""Is told what is done, how many of how many, and a note."""


class Source(msgspec.Struct, frozen=True):
    """Something to play: a synthetic recording, or a case of the perturbed real clip in the file ``clip``."""

    data: str
    recording: Recording | None = None
    case: str = ""
    clip: str = ""

    @property
    def name(self) -> str:
        """Unique among all sources."""
        return self.recording.name if self.recording else f"real/{self.case}"


class Plan(msgspec.Struct, frozen=True):
    """What is measured, with what: ``networks`` by the name of their method, :data:`MAIN` first."""

    sources: tuple[Source, ...]
    networks: Mapping[str, Choice]
    tapes: Path


RowsOfTape = Callable[[Tape, Source, Mapping[str, Choice]], list[Any]]
"""A protocol's reading of one tape with several networks; a function of a module or a partial of one, for it runs
in other processes."""


def rows_of(plan: Plan, read: RowsOfTape, on_progress: OnProgress) -> list[Any] | None:
    """What ``read`` gives for every source, in their order; None when interrupted. Tapes that lack are made first."""
    with workers(cpu_count(), getattr(read, "func", read).__module__) as pool:
        _make_tapes(pool, plan, on_progress)
        jobs = [(read, _tape_path(plan, source), source, plan.networks) for source in plan.sources]
        if not pool.stopped:
            made = pool.run(_rows, jobs, _ignored, _Counter("recordings measured", 0, len(jobs), on_progress))
        return None if pool.stopped else [row for rows in made for row in rows]


def _rows(read: RowsOfTape, path: Path, source: Source, networks: Mapping[str, Choice]) -> list[Any]:
    """A tape that is absent or damaged is made."""
    tape = load_tape(path)
    if tape is None:
        _make_tape(path, source, networks[MAIN])
        tape = load_tape(path)
        assert tape is not None, f"{path} was just made"
    return read(tape, source, networks)


def geometry(choice: Choice) -> str:
    """What two networks must share to be asked about the same tapes."""
    bundle = opened(choice).bundle
    return f"{bundle.size} px, {bundle.frames} frames at {bundle.fps:g} fps"


@lru_cache(maxsize=4)
def file_sha256(path: str) -> str:
    """SHA-256 of a file, in hex; read once in a process."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def case_by_name(name: str) -> PerturbedCase:
    """The case of the real clip."""
    return next(case for case in CASES if case.name == name)


# --------------------------------------------------------------------------------------------------------------- tapes


def _make_tapes(pool: Workers, plan: Plan, on_progress: OnProgress) -> None:
    """Make the tapes that ``plan`` lacks; what is made stays when this is stopped."""
    paths = {source: _tape_path(plan, source) for source in plan.sources}
    missing = [(path, source, plan.networks[MAIN]) for source, path in paths.items() if not path.is_file()]
    count = _Counter("recordings played", len(paths) - len(missing), len(paths), on_progress)
    pool.run(_make_tape, missing, _ignored, count)


def _tape_path(plan: Plan, source: Source) -> Path:
    main = plan.networks[MAIN]
    by = [file_sha256(made) for made in (source.clip, perturbed.__file__)] if source.case else []
    channels = opened(main).bundle.channels if source.case else ()  # with a thermal camera frames have all of them
    what = msgspec.json.encode([source.recording, source.case, by, geometry(main), channels, front_fingerprint()])
    return plan.tapes / f"{source.name.replace('/', '-')}-{hashlib.sha256(what).hexdigest()[:16]}.npz"


def _make_tape(path: Path, source: Source, main: Choice) -> None:
    save_tape(_played(source, opened(main).bundle), path)


def _played(source: Source, bundle: Bundle) -> Tape:
    if source.recording is not None:
        cameras = [camera_from_uri(source.recording.uri, kind) for kind in ("rgb", "thermal")]
        return tape_from_cameras(bundle, cameras, FaceTracker(detector_by_name("haar")))
    camera, tracker = open_case(case_by_name(source.case), Path(source.clip))
    return tape_from_cameras(bundle, [camera], tracker)


class _Counter:
    """Tells how many of ``of`` are done."""

    def __init__(self, what: str, done: int, of: int, on_progress: OnProgress) -> None:
        self._what, self._done, self._of, self._on_progress = what, done, of, on_progress
        on_progress(what, done, of, "")

    def __call__(self) -> None:
        self._done += 1
        self._on_progress(self._what, self._done, self._of, "")


def _ignored(*_: object) -> None:
    """Jobs here report nothing but that they are done."""
