"""Recordings through the deployed chain with several networks: every look, what each method reads, what is published.

Two passes: tapes (the part in front of the model, once, kept in a folder), then a replay of each tape with each
network. A look is one second of a recording; it is *due* once the longest window could be full, whether or not a face
was found, so that what the chain failed to see counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from edge.bundle import Bundle
from edge.cameras import SCHEMES, camera_from_uri
from edge.cameras.synthetic import SyntheticCamera
from edge.faces import detector_by_name
from edge.faces.track import FaceTracker
from edge.person import HR_WINDOW_S, RR_WINDOW_S
from edge.signals.evidence import Evidence
from edge.uri import parse_uri
from edge.vitals import Estimate, State
from training.workers import Workers
from training.yardstick import perturbed
from training.yardstick.distribution import Recording
from training.yardstick.networks import Choice, opened
from training.yardstick.perturbed import CASES, TRUE_HR_PER_MIN, PerturbedCase, open_case
from training.yardstick.tape import Tape, front_fingerprint, load_tape, replay, save_tape, tape_from_cameras

__all__ = [
    "CUES",
    "MAIN",
    "SETTLE_S",
    "WINDOW_S",
    "Plan",
    "Row",
    "Source",
    "file_sha256",
    "geometry",
    "make_tapes",
    "measure",
]

MAIN = "network"
"""The network that is judged; the others stand beside it."""
CUES = "+cues"
"""A method's name ends so when it is what the runtime reads from that network and its own cues together."""
REFERENCE = {"hr": "pos", "rr": "nostril"}
"""The runtime's reference without a network, by rate."""
SETTLE_S = 1.0
"""A face is found within so long: two detections, a fifth of a second apart."""
_NOT_SEEN: frozenset[State] = frozenset({"camera_lost", "no_face", "stale"})
"""States in which what was gathered before tells nothing of now."""
WINDOW_S = {"hr": HR_WINDOW_S, "rr": RR_WINDOW_S[1]}


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


class Row(msgspec.Struct, frozen=True):
    """One look of one method.

    ``estimate`` is None where it reads nothing; ``state`` and ``value`` are those of the published estimate, for
    methods that are the whole chain. ``groups`` are the parts that figures are split by.
    """

    data: str
    recording: str
    rate: str
    t_s: float
    truth: float
    is_due: bool
    method: str
    estimate: float | None
    state: str | None = None
    value: float | None = None
    groups: Mapping[str, str] = {}


class Plan(msgspec.Struct, frozen=True):
    """What is measured, with what: ``networks`` by the name of their method, :data:`MAIN` first."""

    sources: tuple[Source, ...]
    networks: Mapping[str, Choice]
    tapes: Path


# --------------------------------------------------------------------------------------------------------------- tapes


def make_tapes(pool: Workers, plan: Plan, on_progress: Callable[[str, int, int, str], None]) -> None:
    """Make the tapes that ``plan`` lacks; what is made stays when this is stopped."""
    main = plan.networks[MAIN]
    paths = {source: _tape_path(plan.tapes, source, main) for source in plan.sources}
    missing = [(path, source, main) for source, path in paths.items() if not path.is_file()]
    count = _Counter("recordings played", len(paths) - len(missing), len(paths), on_progress)
    pool.run(_make_tape, missing, _ignored, count)


def geometry(choice: Choice) -> str:
    """What two networks must share to be asked about the same tapes."""
    bundle = opened(choice).bundle
    return f"{bundle.size} px, {bundle.frames} frames at {bundle.fps:g} fps"


def _tape_path(folder: Path, source: Source, main: Choice) -> Path:
    by = [file_sha256(made) for made in (source.clip, perturbed.__file__)] if source.case else []
    channels = opened(main).bundle.channels if source.case else ()  # with a thermal camera frames have all of them
    what = msgspec.json.encode([source.recording, source.case, by, geometry(main), channels, front_fingerprint()])
    return folder / f"{source.name.replace('/', '-')}-{hashlib.sha256(what).hexdigest()[:16]}.npz"


@lru_cache(maxsize=4)
def file_sha256(path: str) -> str:
    """SHA-256 of a file, in hex; read once in a process."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class _Counter:
    """Tells how many of ``of`` are done."""

    def __init__(self, what: str, done: int, of: int, on_progress: Callable[[str, int, int, str], None]) -> None:
        self._what, self._done, self._of, self._on_progress = what, done, of, on_progress
        on_progress(what, done, of, "")

    def __call__(self) -> None:
        self._done += 1
        self._on_progress(self._what, self._done, self._of, "")


def _ignored(*_: object) -> None:
    """Jobs here report nothing but that they are done."""


def _make_tape(path: Path, source: Source, main: Choice) -> None:
    save_tape(_played(source, opened(main).bundle), path)


def _played(source: Source, bundle: Bundle) -> Tape:
    if source.recording is not None:
        cameras = [camera_from_uri(source.recording.uri, kind) for kind in ("rgb", "thermal")]
        return tape_from_cameras(bundle, cameras, FaceTracker(detector_by_name("haar")))
    camera, tracker = open_case(_case(source.case), Path(source.clip))
    return tape_from_cameras(bundle, [camera], tracker)


def _case(name: str) -> PerturbedCase:
    return next(case for case in CASES if case.name == name)


# -------------------------------------------------------------------------------------------------------------- replay


def measure(pool: Workers, plan: Plan, on_progress: Callable[[str, int, int, str], None]) -> list[Row]:
    """The rows of all sources, in their order. A tape that is absent or damaged is made."""
    main = plan.networks[MAIN]
    jobs = [(_tape_path(plan.tapes, source, main), source, plan.networks) for source in plan.sources]
    count = _Counter("recordings measured", 0, len(jobs), on_progress)
    return [row for rows in pool.run(_rows, jobs, _ignored, count) if rows for row in rows]


def _rows(path: Path, source: Source, networks: Mapping[str, Choice]) -> list[Row]:
    tape = load_tape(path)
    if tape is None:
        _make_tape(path, source, networks[MAIN])
        tape = load_tape(path)
        assert tape is not None, f"{path} was just made"
    truth = _Truth(source)
    return [row for method, choice in networks.items() for row in _of_network(tape, truth, method, choice)]


def _of_network(tape: Tape, truth: _Truth, method: str, choice: Choice) -> Iterator[Row]:
    network = opened(choice)
    looks = list(replay(tape, network.bundle, network.runtime))
    for tick_ns, look in looks if truth.is_scene else looks[-1:]:
        for rate, estimate, gathered in zip(("hr", "rr"), (look.hr, look.rr), look.evidence, strict=True):
            evidence = None if estimate.state in _NOT_SEEN else gathered
            row = truth.row(rate, tick_ns * 1e-9, estimate, evidence)
            if row is not None:
                yield from _of_look(row, method, evidence)


def _of_look(row: Row, method: str, evidence: Evidence | None) -> Iterator[Row]:
    """The whole chain, the network alone, and beside the main one the reference alone."""
    yield msgspec.structs.replace(row, method=f"{method}{CUES}")
    reference = REFERENCE[row.rate]
    for name, cue in {method: "network", **({reference: reference} if method == MAIN else {})}.items():
        alone = evidence.by_cue.get(cue) if evidence else None
        yield msgspec.structs.replace(row, method=name, estimate=alone, state=None, value=None)


class _Truth:
    """What a source knows about itself."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.is_scene = source.recording is not None
        self._groups = _groups(source)
        self._camera = None
        if source.recording is not None:
            camera = camera_from_uri(source.recording.uri, "rgb")
            assert isinstance(camera, SyntheticCamera)
            self._camera = camera

    def row(self, rate: str, t_s: float, estimate: Estimate, evidence: Evidence | None) -> Row | None:
        """The row of the whole chain at a look; None where the truth is not known."""
        window_s = evidence.window_s if evidence and evidence.window_s > 0.0 else WINDOW_S[rate]
        if self._camera is None:
            if rate == "rr":
                return None
            true, due = TRUE_HR_PER_MIN, True
        else:
            scene = self._camera.scene
            true = (scene.mean_hr_per_min if rate == "hr" else scene.mean_rr_per_min)(t_s, window_s)
            due = t_s >= WINDOW_S[rate] + SETTLE_S
        read = evidence.rate_per_min if evidence else None
        return Row(
            self._source.data, self._source.name, rate, round(t_s, 3), true, due, "", read, estimate.state,
            estimate.value, self._groups,
        )  # fmt: skip


def _groups(source: Source) -> Mapping[str, str]:
    """The parts that figures of a source are split into."""
    recording = source.recording
    if recording is None:
        return {"change": _case(source.case).change}
    codec = parse_uri(recording.uri, "camera", SCHEMES).query["codec"]
    third = min(int((recording.tone - 1.0) / 5.0 * 3.0), 2)
    return {"tone": ("light", "medium", "dark")[third], "codec": codec}


def with_constant(rows: Sequence[Row], method: str, guess: Mapping[str, float]) -> list[Row]:
    """A row of ``method`` for each look, which always reads ``guess`` (per minute, by rate)."""
    return [msgspec.structs.replace(row, method=method, estimate=guess[row.rate]) for row in rows if row.method == MAIN]
