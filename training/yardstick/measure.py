"""Recordings through the deployed chain with several networks: every look, what each method reads, what is published.

Protocol ``deployed``: each tape is replayed with each network. A look is one second of a recording; it is *due* once
the longest window could be full, whether or not a face was found, so that what the chain failed to see counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from edge.cameras import SCHEMES, camera_from_uri
from edge.cameras.synthetic import SyntheticCamera
from edge.person import HR_WINDOW_S, RR_WINDOW_S
from edge.signals.evidence import Evidence
from edge.uri import parse_uri
from edge.vitals import Estimate, State
from training.yardstick.networks import Choice, opened
from training.yardstick.perturbed import TRUE_HR_PER_MIN
from training.yardstick.sources import MAIN, Source, case_by_name
from training.yardstick.tape import Tape, replay

__all__ = ["CUES", "SETTLE_S", "WINDOW_S", "Row", "rows_of_tape", "with_constant"]

CUES = "+cues"
"""A method's name ends so when it is what the runtime reads from that network and its own cues together."""
REFERENCE = {"hr": "pos", "rr": "nostril"}
"""The runtime's reference without a network, by rate."""
SETTLE_S = 1.0
"""A face is found within so long: two detections, a fifth of a second apart."""
_NOT_SEEN: frozenset[State] = frozenset({"camera_lost", "no_face", "stale"})
"""States in which what was gathered before tells nothing of now."""
WINDOW_S = {"hr": HR_WINDOW_S, "rr": RR_WINDOW_S[1]}


class Row(msgspec.Struct, frozen=True):
    """One look of one method.

    ``estimate`` is None where it reads nothing; ``state``, ``value`` and ``uncertainty`` are those of the published
    estimate, for methods that are the whole chain. ``groups`` are the parts that figures are split by.
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
    uncertainty: float | None = None


def rows_of_tape(tape: Tape, source: Source, networks: Mapping[str, Choice]) -> list[Row]:
    """Every look of every method at one recording."""
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
        yield msgspec.structs.replace(row, method=name, estimate=alone, state=None, value=None, uncertainty=None)


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
            estimate.value, self._groups, estimate.uncertainty,
        )  # fmt: skip


def _groups(source: Source) -> Mapping[str, str]:
    """The parts that figures of a source are split into."""
    recording = source.recording
    if recording is None:
        return {"change": case_by_name(source.case).change}
    codec = parse_uri(recording.uri, "camera", SCHEMES).query["codec"]
    third = min(int((recording.tone - 1.0) / 5.0 * 3.0), 2)
    return {"tone": ("light", "medium", "dark")[third], "codec": codec}


def with_constant(rows: Sequence[Row], method: str, guess: Mapping[str, float]) -> list[Row]:
    """A row of ``method`` for each look, which always reads ``guess`` (per minute, by rate)."""
    return [msgspec.structs.replace(row, method=method, estimate=guess[row.rate]) for row in rows if row.method == MAIN]
