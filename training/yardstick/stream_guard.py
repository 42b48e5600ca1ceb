"""What mode ``stream`` publishes with and without its guard, beside whole windows, on scenes that disturb statistics.

    python -m training.yardstick.stream_guard [--bundle DIR] [--tapes DIR]

Scenes are drawn at 640x480, go through the real detector once, and are kept as tapes; each is then played to a person
in three ways. Their seeds stand neither in the test nor in the validation recordings. Looks count from the 30th second
on, when an undisturbed stream is believed. ``network alone`` is the rate that the waveform shows without the other
cues: the harm that light does to a stream is seen there, before the evidence mends it.

The second table is what the guard's limits were chosen from: how far fast and slow statistics come apart in a scene.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from edge.bundle import Bundle, load_bundle
from edge.cameras.synthetic import SyntheticCamera
from edge.metrics import LIMITS_PER_MIN
from edge.person import Look
from edge.runtimes import Runtime
from edge.runtimes.onnxrt import open_runtime
from edge.runtimes.onnxrt_stream import open_stream
from edge.signals.guard import Disagreement, Guard, GuardRules
from edge.stream_graph import StreamEngine
from edge.vitals import VALUE_STATES, Truth
from training.yardstick.tape import Tape, kept_tape, replay

__all__ = ["SCENES", "Figures", "Recording", "disagreements", "figures", "main", "recordings"]

SECONDS, FROM_S = 80, 30.0
_DIM = "&amplitude=0.003&noise=2"
SCENES: Mapping[str, str] = {
    "calm": "",
    "noise": "&noise=3&amplitude=0.006",
    "shutter": "&ffc_every_s=30&ffc_s=1.5",
    "motion": "&sway=0.02&posture=0.03&moves_per_min=4",
    "light-step": "&steps_per_min=3&light_step=0.15&gain_step=0.05",
    "slow-light": "&flicker=0.15&flicker_hz=0.08",
    "dim-motion": f"&sway=0.03&posture=0.05&moves_per_min=8{_DIM}",
    "dim-light-step": f"&steps_per_min=6&light_step=0.4&gain_step=0.1{_DIM}",
    "dim-slow-light": f"&flicker=0.3&flicker_hz=0.08{_DIM}",
}
"""What is done to a calm scene, as in the camera's URI."""
PEOPLE = ((52, 12), (66, 18), (84, 15))
"""True HR and RR of the person in each recording of a scene."""
_FIRST_SEED = 3_100_000_000
_UNGUARDED = GuardRules(brightness=np.inf, place=np.inf, difference=np.inf)
WAYS: Mapping[str, GuardRules | None] = {"exact": None, "stream only": _UNGUARDED, "guarded": GuardRules()}
"""How a tape is played: windows, a stream that nothing but gaps disturbs, and mode ``stream`` as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A scene's tape and the camera that knows its truth."""

    scene: str
    tape: Tape
    camera: SyntheticCamera


@dataclass(slots=True)
class Figures:
    """Of all looks of a scene: errors per minute, of values, of those that were ``ok``, and of the network alone."""

    looks: int = 0
    streamed: int = 0
    ok: dict[str, list[float]] = field(default_factory=lambda: {"hr": [], "rr": []})
    valued: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)

    def add(self, look: Look, truth: Truth) -> None:
        """One look."""
        self.looks += 1
        self.streamed += look.mode == "stream"
        true = {"hr": truth.hr_per_min, "rr": truth.rr_per_min}
        for rate, estimate in (("hr", look.hr), ("rr", look.rr)):
            if estimate.state == "ok" and estimate.value is not None:
                self.ok[rate].append(abs(estimate.value - true[rate]))
        if look.hr.state in VALUE_STATES and look.hr.value is not None:
            self.valued.append(abs(look.hr.value - true["hr"]))
        own = look.evidence[0].by_cue.get("network") if look.evidence[0] else None
        if own is not None:
            self.alone.append(abs(own - true["hr"]))

    def cells(self) -> list[str]:
        """A row of the table."""
        shares = [_share(self.streamed, self.looks)]
        means = [_mean(self.alone), _mean(self.valued)]
        for rate, errors in self.ok.items():
            wrong = sum(error > LIMITS_PER_MIN[rate] for error in errors)
            means += [_share(len(errors), self.looks), _mean(errors), _share(wrong, len(errors))]
        return shares + means


def _share(part: int, whole: int) -> str:
    return f"{100.0 * part / whole:.1f} %" if whole else "-"


def _mean(errors: list[float]) -> str:
    return f"{np.mean(errors):.2f}" if errors else "-"


def recordings(bundle: Bundle, folder: Path, scenes: Mapping[str, str] = SCENES) -> Iterator[Recording]:
    """Every scene with every person, played or taken from ``folder``."""
    for scene, query in scenes.items():
        for number, (hr, rr) in enumerate(PEOPLE):
            who = f"seed={_FIRST_SEED + 10 * number}&hr={hr}&rr={rr}&tone={1 + number}"
            uri = f"synthetic:?seconds={SECONDS}&{who}&nuisance=0.15{query}"
            yield Recording(scene, *kept_tape(bundle, uri, folder / f"{scene}-{number}.npz"))


def figures(recording: Recording, bundle: Bundle, runtime: Runtime, engine: StreamEngine, way: str) -> Figures:
    """One recording, played one way."""
    rules, found = WAYS[way], Figures()
    for t_ns, look in replay(recording.tape, bundle, runtime, engine if rules else None, rules):
        truth = recording.camera.truth_at(t_ns)
        if truth is not None and t_ns >= FROM_S * 1e9:
            found.add(look, truth)
    return found


def disagreements(tape: Tape) -> list[Disagreement]:
    """How far fast and slow are apart at each model frame, from 10 s on, where nothing ever begins them anew."""
    guard = Guard(_UNGUARDED)
    found = []
    for index in range(len(tape.k)):
        frame = tape.frame(index)
        guard.step(frame.data, tape.moves[index], frame.marks)
        found.append(guard.disagreement)
    return found[round(10.0 * tape.fps) :]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="a bundle with a stream graph of 9x9; the default one")
    parser.add_argument("--tapes", type=Path, default=Path("runs/tapes/stream-guard"))
    chosen = parser.parse_args()
    bundle = load_bundle(chosen.bundle)
    runtime, (engine, _) = open_runtime(bundle, "exact", "auto"), open_stream(bundle)
    sums: dict[tuple[str, str], Figures] = {(scene, way): Figures() for scene in SCENES for way in WAYS}
    apart: dict[str, list[Disagreement]] = {scene: [] for scene in SCENES}
    for recording in recordings(bundle, chosen.tapes):
        apart[recording.scene] += disagreements(recording.tape)
        for way in WAYS:
            _join(sums[recording.scene, way], figures(recording, bundle, runtime, engine, way))
    console = Console(width=150)
    console.print(_published(sums))
    console.print(_limits(apart))


def _join(total: Figures, one: Figures) -> None:
    total.looks += one.looks
    total.streamed += one.streamed
    total.valued += one.valued
    total.alone += one.alone
    for rate, errors in one.ok.items():
        total.ok[rate] += errors


def _published(sums: Mapping[tuple[str, str], Figures]) -> Table:
    by_rate = [f"{rate} {what}" for rate in ("HR", "RR") for what in ("ok", "ok MAE", "ok wrong")]
    names = ["scene", "way", "stream", "HR MAE, network alone", "HR MAE, values", *by_rate]
    table = Table(*names, title=f"{len(PEOPLE)} recordings of {SECONDS} s a scene, looks from {FROM_S:g} s on")
    for (scene, way), found in sums.items():
        table.add_row(scene, way, *found.cells(), end_section=way == "guarded")
    return table


def _limits(apart: Mapping[str, list[Disagreement]]) -> Table:
    rules = GuardRules()
    names = [f"{name}, limit {getattr(rules, name):g}" for name in ("brightness", "place", "difference")]
    table = Table("scene", *names, title="Fast and slow statistics apart: median and largest")
    for scene, found in apart.items():
        values = np.array([[one.brightness, one.place, abs(one.difference)] for one in found])
        table.add_row(scene, *(f"{np.median(x):.3f}  {x.max():.3f}" for x in values.T))
    return table


if __name__ == "__main__":
    main()
