"""What goes out: waveforms, estimates with their state and reasons, vitals.

And the rate bands, which live here once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge.frames import FrameKind

__all__ = [
    "FACTS",
    "HR_BAND",
    "OLDEST_MS",
    "REASONS",
    "RR_BAND",
    "STATES",
    "VALUE_STATES",
    "Band",
    "Beats",
    "Estimate",
    "Mode",
    "Reason",
    "Signals",
    "State",
    "Truth",
    "Vitals",
    "codes_that_hold",
]

Mode = Literal["exact", "stream"]
State = Literal[
    "fault", "camera_lost", "thermal_lost", "no_face", "starting", "stale", "lost", "hold", "low_quality", "ok"
]
STATES: tuple[State, ...] = (
    "fault", "camera_lost", "thermal_lost", "no_face", "starting", "stale", "lost", "hold", "low_quality", "ok",
)  # fmt: skip
"""When several apply, the first named wins."""
VALUE_STATES: frozenset[State] = frozenset({"ok", "low_quality", "hold"})
"""The only states in which an estimate carries a number."""
OLDEST_MS = 10_000
"""No value is shown whose newest frame is older than this, wherever and however it waited."""


@dataclass(frozen=True, slots=True)
class Band:
    """A band of rates, inclusive, per minute."""

    low_per_min: float
    high_per_min: float

    @property
    def low_hz(self) -> float:
        """Lower edge in Hz."""
        return self.low_per_min / 60.0

    @property
    def high_hz(self) -> float:
        """Upper edge in Hz."""
        return self.high_per_min / 60.0


HR_BAND = Band(36.0, 198.0)
"""Pulse: 0.6 to 3.3 Hz."""
RR_BAND = Band(5.0, 40.0)
"""Breathing: slow breathing below 8/min included."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an estimate is not ``ok``: one sentence for people, and one thing to do about it.

    ``measured`` is the sentence with its number, in which names of ``FACTS`` stand in braces.
    """

    sentence: str
    fix: str
    measured: str = ""

    def said(self, facts: Mapping[str, float]) -> str:
        """The sentence with the number that was measured; without it where ``facts`` do not hold it."""
        try:
            return self.measured.format_map(facts) or self.sentence
        except KeyError:
            return self.sentence


FACTS: dict[str, str] = {
    "seen_s": "seconds of signal looked at",
    "face_px": "side of the face box in camera pixels",
    "fps": "frames of the RGB camera in a second",
    "jitter_ms": "standard deviation of the spacings of its frames that are no gap",
    "gap_s": "the largest spacing of its frames",
    "silent_s": "seconds since its newest frame",
    "thermal_silent_s": "seconds since the thermal camera's newest frame",
    "level": "brightest mean colour of the skin, 0 to 255",
    "light_range": "range of the skin's brightness, as a share of its mean",
    "motion": "displacement within the band (RMS), as a share of the face's side",
    "coherence": "share of the cells' power at the rate that is common to them",
    "spread_per_min": "how far the network's own rate is from the rate of all cues",
    "sqi": "quality, 0 to 1",
}
"""What may be measured beside a rate, for the people who have to improve it. Facts are told and never published."""


REASONS: dict[str, Reason] = {
    "warming_up": Reason(
        "not enough seconds seen yet",
        "wait; the first rate needs a full window",
        "only {seen_s:.0f} s of signal seen so far",
    ),
    "no_face": Reason("no face is found", "face the camera; check light and distance"),
    "face_small": Reason(
        "the face is small in the picture",
        "move closer or use a longer lens (want >= 80 px)",
        "the face is {face_px:.0f} px wide in the picture, want >= 80",
    ),
    "face_moved": Reason("the face moved to another place", "keep still for a window"),
    "motion": Reason(
        "the head moves", "keep still; rest the head", "the head moves by {motion:.1%} of the face's width"
    ),
    "dark": Reason(
        "the face is too dark",
        "add light from the front",
        "the face is too dark (level {level:.0f} of 255, want >= 30)",
    ),
    "overexposed": Reason(
        "the face is clipped to white",
        "reduce exposure or light",
        "the face is clipped to white (level {level:.0f} of 255, want <= 245)",
    ),
    "exposure_auto": Reason(
        "the brightness jumps as an automatic exposure does", "lock exposure, gain and white balance"
    ),
    "light_change": Reason("the light changes", "use steady light", "the light changes by {light_range:.0%}"),
    "low_fps": Reason(
        "the camera's frame rate is too low",
        "raise the frame rate to >= 15 fps; add light",
        "the camera gives {fps:.1f} frames a second, want >= 15",
    ),
    "jitter": Reason(
        "frames come too unevenly",
        "reduce load; use a wired camera",
        "frames come unevenly ({fps:.1f} a second, jitter {jitter_ms:.0f} ms, want <= 15)",
    ),
    "gap": Reason(
        "frames are missing",
        "check cable, bus load and storage",
        "frames are missing for up to {gap_s:.2f} s, want <= 0.25",
    ),
    "frozen": Reason("the picture does not change at all", "restart the camera"),
    "compressed": Reason("the picture is compressed too strongly", "raise the bit rate or use MJPEG / raw"),
    "ffc": Reason("the thermal camera's shutter was closed", "wait; it reopens by itself"),
    "no_thermal": Reason("there is no thermal camera", "add one with --thermal"),
    "thermal_gap": Reason(
        "thermal frames are missing",
        "check the thermal camera's cable and rate",
        "the thermal camera sent nothing for {thermal_silent_s:.1f} s",
    ),
    "cues_disagree": Reason(
        "independent measurements disagree",
        "keep still; improve the light",
        "independent measurements disagree by {spread_per_min:.0f} per minute",
    ),
    "weak_signal": Reason(
        "the signal is too weak against the noise",
        "add light; move closer; keep still",
        "the signal is too weak against the noise (quality {sqi:.2f}, want >= 0.5)",
    ),
    "not_alive": Reason(
        "no pulse that several parts of the face share",
        "point the camera at a living face",
        "no pulse that several parts of the face share ({coherence:.0%} in common, want >= 35%)",
    ),
    "cold_face": Reason(
        "the thermal camera sees an even, cold surface in the face's place",
        "let both cameras see the same living face, without glass between",
    ),
    "draught": Reason("all of the face warms and cools at that rate", "keep moving air and heaters off the face"),
    "rate_out_of_band": Reason("the rate lies at the edge of what can be measured", "check with another method"),
    "camera_ended": Reason(
        "the camera sends no frames",
        "check its cable and power",
        "the camera sends no frames, for {silent_s:.1f} s now",
    ),
    "runtime": Reason("the inference engine failed", "see the log; reinstall the bundle"),
    "not_in_model": Reason("the bundle has no output for this rate", "use a bundle with this task"),
}
"""Published reason codes. ``why`` holds keys of this table only."""


def codes_that_hold(found: Mapping[str, bool]) -> tuple[str, ...]:
    """The reason codes whose condition holds, in the order given."""
    return tuple(code for code, holds in found.items() if holds)


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """Waveforms on the model grid: float32 ``[T]`` each, arbitrary units, or None for a task the model lacks.

    Sample ``i`` belongs to ``t0_ns + i / fs``. ``bvp_source`` and ``rsp_source`` name the modality.
    """

    bvp: npt.NDArray[np.float32] | None
    rsp: npt.NDArray[np.float32] | None
    fs: float
    t0_ns: int
    bvp_source: FrameKind = "rgb"
    rsp_source: FrameKind = "thermal"

    def __post_init__(self) -> None:
        if not self.fs > 0.0:
            raise ValueError(f"fs must be positive; seen {self.fs}")
        for wave in (self.bvp, self.rsp):
            if wave is not None and (wave.ndim != 1 or wave.dtype != np.float32):
                raise ValueError(f"a waveform is float32 [T]; seen {wave.dtype} {list(wave.shape)}")


@dataclass(frozen=True, slots=True)
class Estimate:
    """One rate with how far it can be trusted.

    ``value`` is per minute and present exactly in the states ``ok``, ``low_quality`` and ``hold``; ``sqi`` is 0..1;
    ``why`` holds reason codes and is empty exactly when ``ok``; ``window_s`` is the true length looked at; ``age_ms``
    the age of the newest frame behind the value; ``uncertainty`` a standard uncertainty per minute, None without
    value. Of RR, ``sources`` are the modalities the value was read from, and ``source_sqi`` how well each modality that
    is there shows breath at that rate by itself, 0..1, in the measure of ``sqi``; both are empty without value.
    """

    value: float | None
    sqi: float
    state: State
    why: tuple[str, ...]
    window_s: float
    age_ms: int
    uncertainty: float | None
    unit: str = "/min"
    sources: tuple[FrameKind, ...] = ()
    source_sqi: Mapping[FrameKind, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if (self.value is not None) != (self.state in VALUE_STATES):
            raise ValueError(f"a value is carried exactly in {sorted(VALUE_STATES)}; seen {self.value} in {self.state}")
        if self.value is None and (self.sources or self.source_sqi):
            raise ValueError(f"sources are those of a value; seen {self.sources}, {self.source_sqi} in {self.state}")
        if self.state not in STATES:
            raise ValueError(f"unknown state {self.state!r}")
        numbers = [self.sqi, self.window_s, *(x for x in (self.value, self.uncertainty) if x is not None)]
        if not all(math.isfinite(x) for x in numbers):
            raise ValueError(f"an estimate holds finite numbers; seen {numbers}")
        if not all(0.0 <= quality <= 1.0 for quality in (self.sqi, *self.source_sqi.values())):
            raise ValueError(f"sqi is 0..1; seen {self.sqi}, {dict(self.source_sqi)}")
        if (self.state == "ok") != (not self.why):
            raise ValueError(f"ok has no reasons and every other state has one; seen {self.state} {self.why}")
        unknown = [code for code in self.why if code not in REASONS]
        if unknown:
            raise ValueError(f"unpublished reason codes {unknown}")


@dataclass(frozen=True, slots=True)
class Beats:
    """Beats of one person, known to ``uncertainty_ms`` (standard uncertainty of one interval).

    Interval ``i``, ``intervals_ms[i]``, ends with the beat at stream time ``ends_ns[i]``; an interval that holds a beat
    missed is left out. ``rmssd_ms`` is over the beats of ``window_s``, None where it is not known well enough.
    """

    ends_ns: tuple[int, ...]
    intervals_ms: tuple[float, ...]
    uncertainty_ms: float
    rmssd_ms: float | None
    window_s: float

    def __post_init__(self) -> None:
        if len(self.ends_ns) != len(self.intervals_ms):
            raise ValueError(f"every interval has an end; seen {len(self.intervals_ms)} and {len(self.ends_ns)}")
        numbers = [*self.intervals_ms, self.uncertainty_ms, self.window_s, self.rmssd_ms or 0.0]
        if not all(math.isfinite(x) and x >= 0.0 for x in numbers):
            raise ValueError(f"beats hold finite numbers; seen {numbers}")

    def after(self, after_ns: int) -> Beats:
        """The same with those intervals alone that end after ``after_ns``."""
        first = sum(end_ns <= after_ns for end_ns in self.ends_ns)
        return Beats(self.ends_ns[first:], self.intervals_ms[first:], self.uncertainty_ms, self.rmssd_ms, self.window_s)


@dataclass(frozen=True, slots=True)
class Vitals:
    """HR and RR of one person at one second of stream time.

    ``pts_ns`` is stream time; ``fps`` and ``dropped`` are per camera (``rgb``, ``thermal``), ``dropped`` cumulative;
    ``skew_ms`` is the median |thermal - RGB| stamp difference of the pairs of the last second, None without pairs;
    ``face_px`` the side of the face box in camera pixels, 0 without a face; ``lead`` whether this is the zone's person,
    who is there longest, or the empty zone itself; ``facts`` what was measured beside ``hr`` and beside ``rr``, in the
    names of ``FACTS``, and ``spectra`` what they were read from: rates per minute ``[K]`` and power ``[K]``. These two
    are for people and never published. ``beats`` are those that came since the look before, None where they are not
    known well enough.
    """

    hr: Estimate
    rr: Estimate
    pts_ns: int
    zone: str
    person: int
    mode: Mode
    bundle_id: str
    fps: dict[str, float]
    dropped: dict[str, int]
    skew_ms: float | None = None
    face_px: float = 0.0
    lead: bool = True
    facts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    spectra: Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = field(
        default_factory=dict, compare=False
    )
    beats: Beats | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """What a synthetic scene knows about itself at one instant, to compare estimates with."""

    hr_per_min: float
    rr_per_min: float
