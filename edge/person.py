"""One person's buffers, waveforms and states: model frames in, HR and RR out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.bundle import Bundle, Channel, Task
from edge.clips.grid import Mark, ModelFrame
from edge.clips.ring import FrameRing
from edge.errors import BundleError
from edge.frames import Clip
from edge.signals.evidence import Evidence, breath_evidence, pulse_evidence
from edge.signals.overlap import OverlapAdd
from edge.signals.references import CELLS, face_warmth_degc
from edge.signals.state import GateRules, RateTracker, Situation, first_named
from edge.vitals import HR_BAND, Estimate, Signals, codes_that_hold

__all__ = ["HR_WINDOW_S", "RR_WINDOW_S", "Look", "Person", "Subject"]

HR_WINDOW_S = 10.0
"""The HR window grows from the model's own length, at least ``HR_SHORTEST_S``, to this."""
HR_SHORTEST_S = 6.0
"""Less holds too few beats of a slow pulse."""
RR_WINDOW_S = (15.0, 30.0)
"""RR is looked at from the first, over at most the second."""
RR_OK_S = 20.0
"""Shortest window for an RR that is ``ok``."""
_WAVE_DELAY_S = 1.0
"""A waveform's newest second stays back: a later window will better it."""
_MAX_BRIDGED = 0.05
"""Largest share of grid frames of a window that may bridge a gap."""
_MIN_THERMAL = 0.8
"""Smallest share of real thermal frames of an RR window for thermal to count."""
_MIN_WARMTH_DEGC = 2.0
"""Motion and light of a picture may look like breath. It counts on a face that is this much warmer than what is beside
it (drawn living faces 6 to 14, photographs 1), or that has a pulse."""
_FROZEN_S = 1.0
_NO_PULSE = Evidence(None, 0.0, 0.0, alive=False, why=(), window_s=0.0)
"""Evidence of a model that looked and gives no pulse."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one person shows at one tick: the estimates, and the newest piece of waveform (None where there is none).

    ``evidence`` is what HR and RR were judged by, where there was any that is fresh.
    """

    hr: Estimate
    rr: Estimate
    waves: Signals | None
    evidence: tuple[Evidence | None, Evidence | None] = (None, None)


class Subject(Protocol):
    """Whom the pipeline tells what its cameras see, and asks for looks: a :class:`Person`, or who records the calls."""

    def take(self, frame: ModelFrame, displacement: npt.NDArray[np.float32]) -> None:
        """The next model frame, and where the face stands."""

    def clip(self) -> Clip | None:
        """A run of the model is due: the window to run it over; None when there is no whole, new, sound one."""

    def accept(self, outputs: Mapping[Task, npt.NDArray[np.float32]]) -> None:
        """Waveforms ``[T]`` that the model gave for the clip of the last call of :meth:`clip`."""

    def look(self, tick_ns: int, hr: Situation, rr: Situation) -> Look:
        """A look is due, under these situations."""

    def forget(self) -> None:
        """Another person or place."""


class Person:
    """Model frames of one face, on one grid, in order.

    ``thermal``: the frames' last channel is thermal. ``camera``: a thermal camera is there to fill it. ``hop_s``: time
    between two runs of the model, which evidence may age between two looks. BundleError for a model whose grid is not a
    multiple of the 9x9 cells that the references look at, or too slow for a pulse.
    """

    def __init__(self, bundle: Bundle, *, thermal: bool, camera: bool, hop_s: float) -> None:
        if bundle.size % CELLS:
            raise BundleError(f"the bundle's frames are {bundle.size} pixels wide; want a multiple of {CELLS}")
        if bundle.fps <= 2.0 * HR_BAND.high_hz:
            raise BundleError(f"the bundle has {bundle.fps} frames per second; want over {2.0 * HR_BAND.high_hz:.1f}")
        self._bundle = bundle
        self._thermal, self._thermal_camera = thermal, camera
        kept = max(int(np.ceil(RR_WINDOW_S[1] * bundle.fps)), bundle.frames)
        self._window = FrameRing(bundle.channel_count, bundle.frames, bundle.size)
        self._cells = FrameRing(4 if thermal else 3, kept, CELLS)
        self._motion = FrameRing(2, kept, 1)
        self._waves = {task: OverlapAdd(bundle.frames - 1, kept) for task in bundle.tasks}
        fresh_s = hop_s + 1.0
        self._fresh_ns = round(fresh_s * 1e9)
        self._hr = RateTracker(GateRules(step_per_min=8.0, fresh_s=fresh_s))
        self._rr = RateTracker(GateRules(step_per_min=3.0, ok_window_s=RR_OK_S, fresh_s=fresh_s))
        self._newest_ns = self._changed_ns = (
            0  # grid times: the newest frame, the newest that differs from the one before
        )
        self._frames = 0  # since the segment began: the sample index of the next frame
        self.restart()

    def restart(self) -> None:
        """Start over: what comes now belongs to another segment."""
        for ring in (self._window, self._cells, self._motion):
            ring.clear()
        self._frames = self._asked = self._sent = 0
        self._forget_waves()

    def forget(self) -> None:
        """Start over with another person or place: nothing known before holds any more."""
        self.restart()
        self._hr.forget()
        self._rr.forget()

    def _forget_waves(self) -> None:
        for wave in self._waves.values():
            wave.clear()
        self._evidence: tuple[Evidence | None, Evidence | None] = (None, None)
        self._seen_ns: int | None = None  # grid time of the newest frame behind the evidence

    def take(self, frame: ModelFrame, displacement: npt.NDArray[np.float32]) -> None:
        """Add a model frame ``[C, S, S]`` and the face's displacement ``[2]`` (shares of the face side) at its time."""
        if frame.restart:
            self.restart()
        cells = _to_cells(frame.data)
        if not self._frames or not np.array_equal(cells[:3], self._cells.window()[:3, -1]):
            self._changed_ns = frame.t_ns
        self._window.append(_model_channels(frame.data, self._bundle.channels), frame.t_ns, frame.marks)
        self._cells.append(cells, frame.t_ns, frame.marks)
        self._motion.append(displacement.reshape(2, 1, 1), frame.t_ns, frame.marks)
        self._newest_ns = frame.t_ns
        self._frames += 1

    def clip(self) -> Clip | None:
        """The newest window, to run the model over; None when there is no whole, new, sound one.

        A window that bridges too much is refused, and the waveforms begin anew after it.
        """
        if not self._window.full or self._frames == self._asked:
            return None
        self._asked = self._frames
        if self._window.share(Mark.RGB_BRIDGED) > _MAX_BRIDGED:
            self._forget_waves()
            return None
        return self._window.clip(self._bundle.fps)

    def accept(self, outputs: Mapping[Task, npt.NDArray[np.float32]]) -> None:
        """Add the waveforms ``[T]`` that the model gave for the newest clip, and gather evidence."""
        for task, wave in self._waves.items():
            wave.add(self._frames - self._bundle.frames, outputs[task])
        self._seen_ns = self._newest_ns
        self._evidence = self._pulse(), self._breath()

    def look(self, tick_ns: int, hr: Situation, rr: Situation) -> Look:
        """HR, RR and new waveform at ``tick_ns`` under situations that may forbid values."""
        frozen = self._frames and tick_ns - self._changed_ns > _FROZEN_S * 1e9
        stale = Situation("stale", ("frozen",)) if frozen else Situation()
        pulse = self._hr.step(tick_ns, self._seen_ns, first_named(hr, stale, self._missing_bvp), self._evidence[0])
        breath = self._rr.step(tick_ns, self._seen_ns, first_named(rr, stale), self._evidence[1])
        waves = self._new_waves(breathing=breath.state in ("ok", "low_quality"))
        fresh = self._seen_ns is not None and tick_ns - self._seen_ns <= self._fresh_ns
        return Look(pulse, breath, waves, self._evidence if fresh else (None, None))

    def _samples(self, longest_s: float) -> int:
        """How many of the newest samples to look at: those the model has seen in this segment, up to ``longest_s``."""
        held = max((wave.end - wave.start for wave in self._waves.values()), default=0)
        return min(held, round(longest_s * self._bundle.fps))

    @property
    def _missing_bvp(self) -> Situation:
        """Why there is no HR, whatever the face shows."""
        if "bvp" not in self._waves:
            return Situation("lost", ("not_in_model",))
        return Situation() if self._believes("bvp") else Situation("lost", (self._no_thermal,))

    def _pulse(self) -> Evidence | None:
        if self._missing_bvp.state:
            return _NO_PULSE
        count = self._samples(HR_WINDOW_S)
        if count < round(HR_SHORTEST_S * self._bundle.fps):
            return None
        return pulse_evidence(
            self._waves["bvp"].newest(count), self._rgb(count), self._displacement(count), self._bundle.fps,
            self._hr.rate_per_min,
        )  # fmt: skip

    def _breath(self) -> Evidence | None:
        count = self._samples(RR_WINDOW_S[1])
        if count < round(RR_WINDOW_S[0] * self._bundle.fps):
            return None
        warm = self._warm(RR_WINDOW_S[1])
        rsp = self._waves["rsp"].newest(count) if "rsp" in self._waves and self._believes("rsp") else None
        thermal = self._cells.window()[3, -count:] if warm else None
        evidence = breath_evidence(
            rsp, thermal, self._rgb(count), self._displacement(count), self._bundle.fps, self._rr.rate_per_min
        )
        living = self._hr.passed or (thermal is not None and face_warmth_degc(thermal) > _MIN_WARMTH_DEGC)
        against = codes_that_hold({self._no_thermal: not warm, "not_alive": not living})
        return replace(evidence, alive=evidence.alive and living, why=(*against, *evidence.why))

    def _warm(self, longest_s: float) -> bool:
        """Enough real thermal frames among the newest for thermal to count."""
        bridged = self._cells.marked(Mark.THERMAL_BRIDGED)[-round(longest_s * self._bundle.fps) :]
        return self._thermal and (not len(bridged) or float(bridged.mean()) <= 1.0 - _MIN_THERMAL)

    def _believes(self, task: Task) -> bool:
        """The modality that this output of the model comes from is there."""
        longest_s = HR_WINDOW_S if task == "bvp" else RR_WINDOW_S[1]
        return not self._bundle.needs_thermal(task) or self._warm(longest_s)

    @property
    def _no_thermal(self) -> str:
        """The reason code for thermal that is not there."""
        return "thermal_gap" if self._thermal_camera else "no_thermal"

    def _rgb(self, count: int) -> npt.NDArray[np.float32]:
        rgb: npt.NDArray[np.float32] = self._cells.window()[:3, -count:].swapaxes(0, 1)
        return rgb

    def _displacement(self, count: int) -> npt.NDArray[np.float64]:
        moved: npt.NDArray[np.float64] = self._motion.window()[:, -count:, 0, 0].T.astype(np.float64)
        return moved

    def _new_waves(self, *, breathing: bool) -> Signals | None:
        """Waveform since the last call, up to the newest second; gaps are NaN. RSP only while RR is believed."""
        oldest = max((wave.start for wave in self._waves.values()), default=0)
        end = max((wave.end for wave in self._waves.values()), default=0) - round(_WAVE_DELAY_S * self._bundle.fps)
        start = max(self._sent, oldest, self._frames - len(self._cells))
        if end <= start:
            return None
        self._sent = end
        t0_ns = self._newest_ns - round((self._frames - 1 - start) * 1e9 / self._bundle.fps)
        sources = self._bundle.manifest.sources
        return Signals(
            self._wave("bvp", start, end),
            self._wave("rsp", start, end) if breathing else None,
            self._bundle.fps,
            t0_ns,
            *(sources.get(task, ("rgb",))[0] for task in ("bvp", "rsp")),
        )

    def _wave(self, task: Task, start: int, end: int) -> npt.NDArray[np.float32] | None:
        if task not in self._waves or not self._believes(task):
            return None
        gaps = Mark.RGB_BRIDGED | (Mark.THERMAL_BRIDGED if self._bundle.needs_thermal(task) else Mark.NONE)
        first = len(self._cells) - self._frames  # ring position of sample 0
        marked = self._cells.marked(gaps)[first + start : first + end]
        wave = self._waves[task].between(start, end)
        wave[marked] = np.nan
        return wave


def _model_channels(data: npt.NDArray[np.float32], channels: tuple[Channel, ...]) -> npt.NDArray[np.float32]:
    """The channels a model takes, of RGB or RGB and thermal ``[3 or 4, S, S]``."""
    parts = {"rgb": data[:3], "thermal": data[3:]}
    return np.concatenate([parts[channel] for channel in channels]) if channels != ("rgb",) else data[:3]


def _to_cells(data: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``[C, S, S]`` as 9x9 means; S is a multiple of 9."""
    block = data.shape[1] // CELLS
    if block == 1:
        return data
    means: npt.NDArray[np.float32] = data.reshape(len(data), CELLS, block, CELLS, block).mean(axis=(2, 4))
    return means
