"""From one window of waveforms, cells and motion to evidence: a rate, how good it is, what speaks against it.

Every cue is independent of the others in what fools it: the network sees all cells but knows no colour theory, POS
knows colour but averages all places, the shared pulse needs all places to agree, motion is measured on edges.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import numpy.typing as npt

from edge.frames import FrameKind
from edge.signals.draught import draught_share
from edge.signals.filters import Array, Spectrum, band_pass, spectrum
from edge.signals.life import SharedPulse, shared_pulse, stands_out
from edge.signals.light import light_share, unevenness
from edge.signals.rates import Reading, fused, half_width_per_min, read_rate, snr_db
from edge.signals.references import nostril_breath, pos, skin_mean
from edge.signals.uncertainty import BREATH, PULSE, standard_uncertainty
from edge.vitals import HR_BAND, RR_BAND, Band, codes_that_hold

__all__ = ["Evidence", "breath_evidence", "pulse_evidence"]

MIN_COHERENCE = 0.35
"""Life needs this share of the cells' power at the rate to be common. Noise gives 1/30, a moved photograph < 0.3."""
_MIN_STANDS_OUT = 10.0
"""So far a pulse stands above what is too quick for one."""
_LEAST_COHERENCE = 0.2
"""What is enough of it where the other cues are sure and the head does not move at the rate."""
_SURE_NETWORK, _SURE_SPREAD_PER_MIN, _STILL = 0.5, 2.5, 0.002
"""The network's share of power at the rate, its own rate's distance, and the displacement amplitude, for that."""
_PULSE_WEIGHTS = (4.0, 1.0, 1.0)
"""Of network, POS and shared pulse in the spectrum that HR is read from; chosen on the validation recordings."""
_BREATH_WEIGHTS = {"network": 1.5, "nostril": 1.0, "motion": 1.0, "brightness": 0.5}
"""Of the cues in the spectrum that RR is read from."""
_BREATH_FROM: Mapping[str, tuple[FrameKind, ...]] = {
    "nostril": ("thermal",), "motion": ("rgb",), "brightness": ("rgb",),
}  # fmt: skip
"""The modality each of them comes from; the network's is its bundle's to say."""
_KINDS: tuple[FrameKind, ...] = get_args(FrameKind)
_LIT_LOSS, _LIT = 0.9, 0.5
"""What a cue loses at rates at which the light changes; and the light's share from which a rate is not a pulse's."""
_MIN_SUPPORT = 0.25
"""A cue agrees with a rate when this share of its power stands at the rate and its harmonic."""
_MIN_BREATH_SUPPORT = 0.45
"""The same for breathing, where peak and harmonic span a third of the band and noise has a third of its power there."""
DARK, BRIGHT = 30.0, 245.0
"""Mean grey levels of skin below and above which 8 bits hold too little of a pulse."""
_LIGHT_LEAP = 0.5
"""The same from which nothing is a pulse: a step that large, in a picture that clips it by colour, looks like a slow
pulse that all places share (41 per minute with a quality of 0.8, of a pulse of 105)."""
_EVEN = 0.04
"""Where the places of a face change by shares this alike, light does it and not blood: a screen 0.003, a weak pulse
(0.3 %) in light that drifts 0.06 and more."""
_ALIKE = 0.1
"""Two rates this near, as a share, are one."""
_LIGHT_RANGE = 0.15
"""Change of the skin's brightness within a window from which it is named, where cues fail."""
_MOTION_RMS = 0.02
"""Displacement (share of the face side, RMS inside the band) from which motion is named as a reason."""
_MOTION_AT_RATE = 0.004
"""Displacement amplitude at the rate from which the picture's motion alone could make it."""
_NOD = 0.006
"""The same for breathing, which itself moves the head a little; and the RMS in its band from which motion is named."""
_NOD_NEAR_PER_MIN = 1.5
"""Motion whose own rate is this near the rate read may be what the other cues show; other sway is not."""
_DRAUGHT = 0.3
"""Share of the nostrils' swing from which the cheeks' says that it is not breath: see :mod:`edge.signals.draught`."""
_MAX_SPREAD_PER_MIN = 10.0
"""Where network and published rate differ by more, the difference is no measure of uncertainty any more."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one window says about one rate.

    ``alive``: the cues that must agree do. ``sqi`` 0..1. ``why``: reason codes that speak against it. ``by_cue`` is the
    rate that each cue alone would read, by its name, None where it has no peak; it is for reports. ``facts`` are the
    numbers behind ``why``, in the names of :data:`edge.vitals.FACTS`; ``read_from`` is the spectrum of all cues.
    ``lamp_per_min`` is a rate at which the light was seen to change. ``sources`` and ``source_sqi`` are those of
    :class:`edge.vitals.Estimate`.
    """

    rate_per_min: float | None
    uncertainty_per_min: float
    sqi: float
    alive: bool
    why: tuple[str, ...]
    window_s: float
    by_cue: Mapping[str, float | None] = field(default_factory=dict)
    facts: Mapping[str, float] = field(default_factory=dict)
    read_from: Spectrum | None = None
    lamp_per_min: float | None = None
    sources: tuple[FrameKind, ...] = ()
    source_sqi: Mapping[FrameKind, float] = field(default_factory=dict)


def pulse_evidence(
    bvp: npt.NDArray[np.float32],
    cells: npt.NDArray[np.float32],
    motion: Array,
    fs: float,
    prior_per_min: float | None,
) -> Evidence:
    """Evidence for HR from ``T`` samples of BVP ``[T]``, RGB cells ``[T, 3, 9, 9]`` and displacement ``[T, 2]``.

    Cells are 0..255, displacement is in shares of the face side, ``prior_per_min`` is the rate tracked so far.
    """
    window_s = len(bvp) / fs
    skin, lit = skin_mean(cells), light_share(cells, HR_BAND, fs)
    network, colour = spectrum(bvp, HR_BAND, fs), spectrum(pos(skin, fs), HR_BAND, fs)
    shared = shared_pulse(cells, HR_BAND, fs)
    by_cue = _read_alone({"network": network, "pos": colour, "shared": shared.weighted}, HR_BAND, window_s)
    seen = fused([network, colour, shared.weighted], _PULSE_WEIGHTS)
    network, colour, weighted = (cue.dimmed(1.0 - _LIT_LOSS * lit) for cue in (network, colour, shared.weighted))
    together = fused([network, colour, weighted], _PULSE_WEIGHTS)
    reading = read_rate(together, HR_BAND, window_s, prior_per_min)
    if reading is None:
        return _nothing(window_s, by_cue)
    cues = _pulse_cues(reading, network, colour, shared, _Moved.at(reading, motion, HR_BAND, fs))
    is_white = stands_out(cells, reading.rate_per_min, fs) < _MIN_STANDS_OUT
    is_lamp, is_even = _is_light(reading, lit, seen), unevenness(cells, reading.rate_per_min, HR_BAND, fs) < _EVEN
    is_light = is_lamp or is_even or _hides(reading, seen) or _light_range(skin) > _LIGHT_LEAP
    changed = is_light or (not (cues.alive and cues.agree) and _light_range(skin) > _LIGHT_RANGE)
    edge = _at_edge(reading, HR_BAND)
    found = {"light_change": changed} | cues.found | {"rate_out_of_band": edge}
    found["not_alive"] |= is_white
    return Evidence(
        reading.rate_per_min,
        standard_uncertainty(reading, PULSE, min(cues.spread_per_min, _MAX_SPREAD_PER_MIN)),
        cues.sqi,
        cues.alive and cues.sqi > 0.0 and not edge and not is_light and not is_white,
        (*_exposure(skin), *codes_that_hold(found)),
        window_s,
        by_cue,
        {"level": _level(skin), "light_range": _light_range(skin)} | cues.facts,
        together,
        reading.rate_per_min if is_lamp else None,
    )


def breath_evidence(
    rsp: npt.NDArray[np.float32] | None,
    thermal_cells: npt.NDArray[np.float32] | None,
    rgb_cells: npt.NDArray[np.float32],
    motion: Array,
    fs: float,
    prior_per_min: float | None,
    rsp_from: tuple[FrameKind, ...] = ("thermal",),
) -> Evidence:
    """Evidence for RR; at least two cues must agree, among them the network's or the nostrils' where there is one.

    ``rsp`` ``[T]`` is the network's waveform, None where its modality is missing, and ``rsp_from`` what it comes from;
    ``thermal_cells`` ``[T, 9, 9]`` in degC, None without thermal; ``rgb_cells`` ``[T, 3, 9, 9]`` 0..255; ``motion``
    ``[T, 2]`` displacement in shares of the face side. Where there is a network or a nostril cue the rate is read from
    these alone; motion and brightness, which show every sway, only support it. A picture that nods shows the nod in
    every cue, thermal ones too: a head that moves at that very rate is named (``motion``), which keeps RR from ``ok``,
    and supports nothing beside thermal. A face that warms and cools as a whole is in a draught (``draught``).
    """
    window_s = len(motion) / fs
    warm: dict[str, npt.NDArray[np.floating]] = {}
    warm |= {"network": rsp} if rsp is not None else {}
    warm |= {"nostril": nostril_breath(thermal_cells)} if thermal_cells is not None else {}
    seen = {"motion": motion[:, 1], "brightness": skin_mean(rgb_cells)[:, 1]}
    cues = {name: spectrum(band_pass(wave, RR_BAND, fs), RR_BAND, fs) for name, wave in (warm | seen).items()}
    read_from = warm or seen
    together = _fused_breath(cues, read_from)
    reading = read_rate(together, RR_BAND, window_s, prior_per_min)
    by_cue = _read_alone(cues, RR_BAND, window_s)
    if reading is None:
        return _nothing(window_s, by_cue)
    support = {name: _support(cue, reading.rate_per_min, window_s) for name, cue in cues.items()}
    moved = _Moved.at(reading, motion, RR_BAND, fs)
    own_per_min = by_cue["motion"] or 0.0
    nods = moved.at_rate >= _NOD and abs(own_per_min - reading.rate_per_min) < _NOD_NEAR_PER_MIN
    counted = [name for name in cues if name in warm or not (nods and warm)]
    best = sorted([*(support[name] for name in counted), 0.0, 0.0])
    second = min(best[-2], max((support[name] for name in warm), default=1.0))
    agree, edge = second > _MIN_BREATH_SUPPORT, _at_edge(reading, RR_BAND)
    sqi = _breath_quality(second, reading.snr_db)
    whole_face = 0.0 if thermal_cells is None else draught_share(thermal_cells, reading.rate_per_min, fs)
    airy = agree and whole_face > _DRAUGHT
    found = {
        "draught": airy,
        "motion": nods or (not agree and moved.rms > _NOD),
        "cues_disagree": not agree,
        "rate_out_of_band": edge,
    }
    why = codes_that_hold(found)
    alive, facts = agree and not edge and not airy, {"motion": moved.rms, "sqi": sqi}
    kinds = {**_BREATH_FROM, "network": rsp_from}
    return Evidence(
        reading.rate_per_min,
        standard_uncertainty(reading, BREATH),
        sqi,
        alive,
        why,
        window_s,
        by_cue,
        facts,
        together,
        sources=tuple(dict.fromkeys(kind for name in read_from for kind in kinds[name])),
        source_sqi=_source_sqi(cues, counted, kinds, reading),
    )


def _fused_breath(cues: Mapping[str, Spectrum], names: Iterable[str]) -> Spectrum:
    """One spectrum of the named cues."""
    chosen = list(names)
    return fused([cues[name] for name in chosen], [_BREATH_WEIGHTS[name] for name in chosen])


def _breath_quality(support: float, db: float) -> float:
    """Quality of a breath that has this share of a cue's power, and this SNR."""
    return _mean_cue(_ramp(support, 0.3, 0.65), _ramp(db, -4.0, 5.0))


def _source_sqi(
    cues: Mapping[str, Spectrum], counted: Collection[str], kinds: Mapping[str, tuple[FrameKind, ...]], reading: Reading
) -> dict[FrameKind, float]:
    """How well the cues of each modality alone show the rate; 0 where none of them counts.

    A cue that mixes modalities tells of neither.
    """
    rate, window_s = reading.rate_per_min, reading.window_s
    found: dict[FrameKind, float] = {}
    for kind in _KINDS:
        own = [name for name in cues if kinds[name] == (kind,)]
        shown = [name for name in own if name in counted]
        if shown:
            alone = _fused_breath(cues, shown)
            found[kind] = _breath_quality(_support(alone, rate, window_s), snr_db(alone, rate, window_s))
        elif own:
            found[kind] = 0.0
    return found


@dataclass(frozen=True, slots=True)
class _Moved:
    """How the face moved: RMS inside the band, and amplitude at a rate, in shares of the face side."""

    rms: float
    at_rate: float

    @classmethod
    def at(cls, reading: Reading, motion: Array, band: Band, fs: float) -> _Moved:
        moved = band_pass(motion, band, fs)
        width = half_width_per_min(len(motion) / fs)
        power = [
            spectrum(moved[:, axis], band, fs).near(reading.rate_per_min, width) * float(moved[:, axis].var())
            for axis in (0, 1)
        ]
        return cls(float(np.sqrt((moved**2).sum(axis=1).mean())), float(np.sqrt(2.0 * max(power))))


@dataclass(frozen=True, slots=True)
class _PulseCues:
    """What the cues say at the rate that was read. ``spread_per_min``: how far the network's own rate is from it."""

    snr_db: float
    coherence: float
    green_leads: bool
    network: float
    colour: float
    spread_per_min: float
    tolerance_per_min: float
    moved: _Moved

    @property
    def shared(self) -> bool:
        """The face shares a pulse: surely, or, where network and POS see the same in a still one, well enough."""
        one = self.network > _SURE_NETWORK and self.colour > _MIN_SUPPORT and self.spread_per_min < _SURE_SPREAD_PER_MIN
        enough = _LEAST_COHERENCE if one and self.moved.at_rate < _STILL else MIN_COHERENCE
        return self.green_leads and self.coherence >= enough

    @property
    def alive(self) -> bool:
        """The face shares a pulse, and one more cue has it. Where the third has nothing at all there, ``sqi`` is 0."""
        return self.shared and max(self.network, self.colour) > _MIN_SUPPORT

    @property
    def agree(self) -> bool:
        return min(self.network, self.colour) > _MIN_SUPPORT and self.spread_per_min < self.tolerance_per_min

    @property
    def sqi(self) -> float:
        close = max(0.05, float(np.exp(-((self.spread_per_min / self.tolerance_per_min) ** 2))))
        still = 1.0 - 0.5 * _ramp(self.moved.rms, _MOTION_RMS, 3.0 * _MOTION_RMS)
        support = _ramp(min(self.network, self.colour), 0.15, 0.6)
        return still * _mean_cue(_ramp(self.coherence, 0.2, 0.75), support, _ramp(self.snr_db, -4.0, 5.0), close)

    @property
    def found(self) -> dict[str, bool]:
        """Reason codes, and whether they hold."""
        return {
            "motion": self.moved.rms > _MOTION_RMS or self.moved.at_rate > _MOTION_AT_RATE,
            "cues_disagree": not self.agree,
            "not_alive": not self.shared,
        }

    @property
    def facts(self) -> dict[str, float]:
        """The numbers behind them; one that is well within its limit is not the reason and is left out."""
        facts = {"motion": self.moved.rms, "sqi": self.sqi}
        facts |= {"spread_per_min": self.spread_per_min} if self.spread_per_min >= self.tolerance_per_min else {}
        return facts if self.coherence >= MIN_COHERENCE else facts | {"coherence": self.coherence}


def _hides(reading: Reading, seen: Spectrum) -> bool:
    """Whether the rate is twice what all cues show before the light is taken off: then its fundamental is off too."""
    plain = read_rate(seen, HR_BAND, reading.window_s)
    return plain is not None and abs(2.0 * plain.rate_per_min / reading.rate_per_min - 1.0) < _ALIKE


def _pulse_cues(
    reading: Reading, network: Spectrum, colour: Spectrum, shared: SharedPulse, moved: _Moved
) -> _PulseCues:
    rate, window_s = reading.rate_per_min, reading.window_s
    own = read_rate(network, HR_BAND, window_s)
    return _PulseCues(
        snr_db=reading.snr_db,
        coherence=shared.coherence_at(rate),
        green_leads=shared.green_leads_at(rate),
        network=_support(network, rate, window_s),
        colour=_support(colour, rate, window_s),
        spread_per_min=abs(own.rate_per_min - rate) if own else rate,
        tolerance_per_min=max(5.0, 0.06 * rate),
        moved=moved,
    )


def _nothing(window_s: float, by_cue: Mapping[str, float | None]) -> Evidence:
    return Evidence(None, 0.0, 0.0, alive=False, why=("weak_signal",), window_s=window_s, by_cue=by_cue)


def _read_alone(cues: Mapping[str, Spectrum], band: Band, window_s: float) -> dict[str, float | None]:
    readings = {name: read_rate(cue, band, window_s) for name, cue in cues.items()}
    return {name: reading.rate_per_min if reading else None for name, reading in readings.items()}


def _support(cue: Spectrum, rate_per_min: float, window_s: float) -> float:
    """Share of a cue's power at a rate and its second harmonic."""
    width = half_width_per_min(window_s)
    return cue.near(rate_per_min, width) + cue.near(2.0 * rate_per_min, width)


def _is_light(reading: Reading, lit: Array, seen: Spectrum) -> bool:
    """Whether the light's share is large at the rate, or at a higher place of the same peak as all cues show it."""
    near = np.abs(seen.per_min - reading.rate_per_min) <= half_width_per_min(reading.window_s)
    lamps = seen.power[near & (lit > _LIT)]
    here = float(np.interp(reading.rate_per_min, seen.per_min, lit))
    return here > _LIT or bool(lamps.max(initial=0.0) > float(seen.at(reading.rate_per_min)))


def _at_edge(reading: Reading, band: Band) -> bool:
    """Too near the band's edge for a peak to be told from the edge itself."""
    margin = 0.02 * (band.high_per_min - band.low_per_min)
    return not band.low_per_min + 0.5 * margin < reading.rate_per_min < band.high_per_min - margin


def _light_range(skin: Array) -> float:
    """How far the skin's brightness ranges within the window, as a share of its mean."""
    level = skin.mean(axis=1)
    return float(np.ptp(level) / max(float(level.mean()), 1.0))


def _level(skin: Array) -> float:
    """The brightest of the three mean colours, 0..255."""
    return float(skin.mean(axis=0).max())


def _exposure(skin: Array) -> tuple[str, ...]:
    level = _level(skin)
    return ("dark",) if level < DARK else ("overexposed",) if level > BRIGHT else ()


def _ramp(x: float, zero: float, one: float) -> float:
    """0 at ``zero``, 1 at ``one``, linear between, clipped."""
    return float(np.clip((x - zero) / (one - zero), 0.0, 1.0))


def _mean_cue(*cues: float) -> float:
    """Geometric mean: one bad cue is not made good by the others."""
    return float(np.prod(cues) ** (1.0 / len(cues)))
