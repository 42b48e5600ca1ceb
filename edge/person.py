"""One person's buffers, waveforms and states: model frames in, HR and RR out.

The waveforms come from whole windows, or, in mode ``stream``, from a stream while its guard believes it. Evidence is
always read from one of the two; the rates, their gates and states do not know which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.bundle import Bundle, Channel, Task
from edge.clips.grid import Mark, ModelFrame
from edge.clips.ring import FrameRing
from edge.errors import BundleError
from edge.frames import Clip
from edge.signals.beats import timed_beats
from edge.signals.evidence import Evidence, breath_evidence, pulse_evidence
from edge.signals.guard import GuardRules
from edge.signals.overlap import OverlapAdd
from edge.signals.references import CELLS, face_warmth_degc, is_cold_and_even, pos, skin_mean
from edge.signals.state import GATE_LOOKS, GateRules, RateTracker, Situation, first_named
from edge.stream_graph import StreamEngine
from edge.stream_path import StreamPath
from edge.vitals import HR_BAND, Beats, Estimate, Mode, Signals, State, codes_that_hold

__all__ = ["HR_WINDOW_S", "RR_WINDOW_S", "Look", "Person", "Subject", "Waves"]

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
_OLDEST_BEAT_S = 4.0
"""Beats that ended longer ago are not given any more: that HR was ``ok`` then is not known."""
_MAX_BRIDGED = 0.05
"""Largest share of grid frames of a window that may bridge a gap."""
_MIN_THERMAL = 0.8
"""Smallest share of real thermal frames of an RR window for thermal to count."""
_MIN_WARMTH_DEGC = 2.0
"""Motion and light of a picture may look like breath. It counts on a face that is this much warmer than what is beside
it (drawn living faces 6 to 14, photographs 1), or that has a pulse."""
_TASKS: tuple[Task, ...] = ("bvp", "rsp")
_NO_PULSE = Evidence(None, 0.0, 0.0, alive=False, why=(), window_s=0.0)
"""Evidence of a model that looked and gives no pulse."""


_SHOWN: tuple[State, ...] = ("ok", "low_quality")
"""States of a rate in which its waveform is shown."""
_SHOWN_STREAMED: tuple[State, ...] = ("ok", "low_quality", "starting")
"""The same for waveforms that name their state: they begin at once, and end when a face is judged to have no pulse."""


class _Waveform(Protocol):
    """Samples by their index in the segment."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    def newest(self, count: int) -> npt.NDArray[np.float32]: ...
    def between(self, start: int, end: int) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Waves:
    """A piece of waveform to show.

    Where streams run, ``mode`` says which path gave it, and ``states`` are those of HR and RR at the time: ``starting``
    is not judged yet. Else ``mode`` is None, and only what passed the life gate is shown.
    """

    signals: Signals
    mode: Mode | None = None
    states: tuple[State, State] = ("ok", "ok")


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one person shows at one tick: the estimates, and the newest piece of waveform (None where there is none).

    ``evidence`` is what HR and RR were judged by, where there was any that is fresh, ``mode`` the path it came from.
    ``beats`` are those that came since the last look, where HR is ``ok`` and they are known well enough.
    """

    hr: Estimate
    rr: Estimate
    waves: Waves | None
    evidence: tuple[Evidence | None, Evidence | None] = (None, None)
    mode: Mode = "exact"
    beats: Beats | None = None


class Subject(Protocol):
    """Whom the pipeline tells what its cameras see, and asks for looks: a :class:`Person`, or who records the calls."""

    def take(self, frame: ModelFrame, displacement: npt.NDArray[np.float32]) -> Sequence[Waves]:
        """The next model frame, and where the face stands; gives what a stream has to show since the last one."""

    def clip(self) -> Clip | None:
        """A run of the model is due: the window to run it over; None when there is no whole, new, sound one."""

    def accept(self, outputs: Mapping[Task, npt.NDArray[np.float32]]) -> None:
        """Waveforms ``[T]`` that the model gave for the clip of the last call of :meth:`clip`."""

    def look(self, tick_ns: int, hr: Situation, rr: Situation) -> Look:
        """A look is due, under these situations."""

    def forget(self) -> None:
        """Another person or place."""

    def pace(self, hop_s: float) -> None:
        """From here on runs of the model are due every ``hop_s``."""


class Person:
    """Model frames of one face, on one grid, in order.

    ``thermal``: the frames' last channel is thermal. ``camera``: a thermal camera is there to fill it. ``hop_s``: time
    between two runs of the model, which evidence may age between two looks. ``stream``: the engine of mode ``stream``,
    which any number of persons share, and ``guard`` when it is believed. BundleError for a model whose grid is not a
    multiple of the 9x9 cells that the references look at, or too slow for a pulse.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        thermal: bool,
        camera: bool,
        hop_s: float,
        stream: StreamEngine | None = None,
        guard: GuardRules | None = None,
    ) -> None:
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
        self._windows = {task: OverlapAdd(bundle.frames - 1, kept) for task in bundle.tasks}
        self._stream = StreamPath(stream, bundle.tasks, bundle.fps, kept, guard) if stream else None
        self._hr = RateTracker(GateRules(step_per_min=8.0))
        self._rr = RateTracker(GateRules(step_per_min=3.0, ok_window_s=RR_OK_S))
        self.pace(hop_s)
        self._newest_ns = 0  # grid time of the newest frame
        self._frames = 0  # since the segment began: the sample index of the next frame
        self.restart()

    def restart(self) -> None:
        """Start over: what comes now belongs to another segment."""
        for ring in (self._window, self._cells, self._motion):
            ring.clear()
        self._states: tuple[State, State] = ("starting", "starting")  # of HR and RR at the last look of this segment
        self._frames = self._asked = 0
        self._warm_from = 0  # the first sample of the place that thermal shows
        self._sent: dict[Task, int] = dict.fromkeys(self._bundle.tasks, 0)
        if self._stream:
            self._stream.restart()
        self._beat_ns = 0  # stream time of the newest beat given
        self._forget_waves()

    def forget(self) -> None:
        """Start over with another person or place: nothing known before holds any more."""
        self.restart()
        self._hr.forget()
        self._rr.forget()

    def pace(self, hop_s: float) -> None:
        """Evidence may now be a second older than ``hop_s``."""
        fresh_s = hop_s + 1.0
        self._fresh_ns = round(fresh_s * 1e9)
        self._hr.fresh_s = self._rr.fresh_s = fresh_s

    def _forget_waves(self) -> None:
        for wave in self._windows.values():
            wave.clear()
        self._evidence: tuple[Evidence | None, Evidence | None] = (None, None)
        self._timed: Beats | None = None
        self._evidence_mode: Mode = "exact"
        self._vouched = 0  # windows looked at since they give the values
        self._seen_ns: int | None = None  # grid time of the newest frame behind the evidence

    def _begin_breath(self) -> None:
        """Thermal shows another place: nothing of the old one belongs to what comes. What RGB shows goes on."""
        warm = [task for task in self._bundle.tasks if self._bundle.needs_thermal(task)]
        if "bvp" in warm:
            self.forget()
            return
        self._warm_from = self._frames
        for task in warm:
            self._windows[task].clear()
        if self._stream and warm:
            self._stream.begin_anew()
        self._evidence = self._evidence[0], None
        self._rr.forget()

    def take(self, frame: ModelFrame, displacement: npt.NDArray[np.float32]) -> Sequence[Waves]:
        """Add a model frame ``[C, S, S]`` and the face's displacement ``[2]`` (shares of the face side) at its time.

        Gives what a stream has to show since the last frame: a piece for each task, at the end of each chunk.
        """
        if frame.restart:
            self.restart()
        if frame.marks & Mark.THERMAL_MOVED:
            self._begin_breath()
        cells = _to_cells(frame.data)
        seen = _model_channels(frame.data, self._bundle.channels)
        self._window.append(seen, frame.t_ns, frame.marks)
        self._cells.append(cells, frame.t_ns, frame.marks)
        self._motion.append(displacement.reshape(2, 1, 1), frame.t_ns, frame.marks)
        self._newest_ns = frame.t_ns
        self._frames += 1
        if self._stream is None or not self._stream.take(seen, cells, displacement, frame.marks):
            return ()
        return self._streamed_waves(self._stream)

    def clip(self) -> Clip | None:
        """The newest window, to run the model over; None when there is no whole, new, sound one.

        A window that bridges too much is refused, and the waveforms begin anew after it. While a stream is believed no
        window is needed: its evidence is gathered instead.
        """
        if not self._window.full or self._frames == self._asked:
            return None
        self._asked = self._frames
        if self._stream and self._stream.is_believed():
            self._forget_waves()
            self._gather("stream")
            return None
        if self._window.share(Mark.RGB_BRIDGED) > _MAX_BRIDGED:
            self._forget_waves()
            return None
        return self._window.clip(self._bundle.fps)

    def accept(self, outputs: Mapping[Task, npt.NDArray[np.float32]]) -> None:
        """Add the waveforms ``[T]`` that the model gave for the newest clip, and gather evidence."""
        start = self._frames - self._bundle.frames
        for task, wave in self._windows.items():
            if start >= self._warm_from or not self._bundle.needs_thermal(task):
                wave.add(start, outputs[task])
        self._gather("exact")
        self._vouched += 1
        if self._stream and self._vouched >= GATE_LOOKS:
            self._stream.vouch()

    def _gather(self, mode: Mode) -> None:
        """Read evidence from the waveforms of one path."""
        self._seen_ns, self._evidence_mode = self._newest_ns, mode
        self._evidence = self._pulse(), self._breath()
        self._timed = self._beats(self._evidence[0])

    @property
    def _waves(self) -> Mapping[Task, _Waveform]:
        """What evidence is read from."""
        by_stream = self._stream is not None and self._evidence_mode == "stream"
        return self._stream.waves if self._stream and by_stream else self._windows

    def look(self, tick_ns: int, hr: Situation, rr: Situation) -> Look:
        """HR, RR and new waveform at ``tick_ns`` under situations that may forbid values."""
        of_pulse, of_breath = self._evidence
        hr = first_named(hr, self._doubt(of_pulse), self._missing_bvp)
        rr = first_named(rr, self._doubt(of_breath))
        pulse = self._hr.step(tick_ns, self._seen_ns, hr, of_pulse)
        breath = self._rr.step(tick_ns, self._seen_ns, rr, of_breath)
        self._states = pulse.state, breath.state
        fresh = self._seen_ns is not None and tick_ns - self._seen_ns <= self._fresh_ns
        evidence = self._evidence if fresh else (None, None)
        waves, beats = self._window_waves(), self._new_beats(tick_ns) if pulse.state == "ok" and fresh else None
        return Look(pulse, breath, waves, evidence, self._evidence_mode, beats)

    def _doubt(self, evidence: Evidence | None) -> Situation:
        """What speaks against the stream and not against the evidence already."""
        return Situation(None, tuple(code for code in self._doubts if not evidence or code not in evidence.why))

    @property
    def _doubts(self) -> tuple[str, ...]:
        """What made the stream unbelievable, until windows alone have shown enough."""
        return (self._stream.tripped_by,) if self._stream and self._stream.tripped_by else ()

    def _samples(self, longest_s: float) -> int:
        """How many of the newest samples to look at: those the model has seen in this segment, up to ``longest_s``."""
        if self._stream and self._evidence_mode == "stream":
            held = self._stream.settled
        else:
            held = max((wave.end - wave.start for wave in self._windows.values()), default=0)
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
        evidence = pulse_evidence(
            self._waves["bvp"].newest(count), self._rgb(count), self._displacement(count), self._bundle.fps,
            self._hr.rate_per_min,
        )  # fmt: skip
        return replace(evidence, why=("cold_face", *evidence.why)) if self._is_cold(count) else evidence

    def _new_beats(self, tick_ns: int) -> Beats | None:
        """Those not given before, and not older than a few seconds."""
        if self._timed is None:
            return None
        new = self._timed.after(max(self._beat_ns, tick_ns - round(_OLDEST_BEAT_S * 1e9)))
        self._beat_ns = max(self._beat_ns, *new.ends_ns, 0)
        return new

    def _beats(self, pulse: Evidence | None) -> Beats | None:
        """Beats of the wave that HR is read from, but for its newest second, which is not final."""
        if pulse is None or pulse.rate_per_min is None or not pulse.alive:
            return None
        fs = self._bundle.fps
        delay, held = round(_WAVE_DELAY_S * fs), self._samples(RR_WINDOW_S[1])
        if held <= delay:
            return None
        whole = slice(0, held - delay)
        missing = self._cells.marked(Mark.RGB_GAP | Mark.RGB_BRIDGED)[-held:][whole]
        second = pos(skin_mean(self._rgb(held)), fs)[whole]
        t0_ns = self._newest_ns - round((held - 1) / fs * 1e9)
        return timed_beats(self._waves["bvp"].newest(held)[whole], second, missing, pulse.rate_per_min, fs, t0_ns)

    def _breath(self) -> Evidence | None:
        count = min(self._samples(RR_WINDOW_S[1]), self._of_this_place)
        if count < round(RR_WINDOW_S[0] * self._bundle.fps):
            return replace(_NO_PULSE, why=self._doubts) if self._doubts else None  # the last value may stay, as hold
        warm = self._warm(RR_WINDOW_S[1])
        rsp = self._waves["rsp"].newest(count) if "rsp" in self._waves and self._believes("rsp") else None
        thermal = self._cells.window()[3, -count:] if warm else None
        evidence = breath_evidence(
            rsp, thermal, self._rgb(count), self._displacement(count), self._bundle.fps, self._rr.rate_per_min,
            self._bundle.manifest.sources.get("rsp", ()),
        )  # fmt: skip
        living = self._hr.passed or (thermal is not None and face_warmth_degc(thermal) > _MIN_WARMTH_DEGC)
        cold = self._is_cold(count)
        against = codes_that_hold({self._no_thermal: not warm, "cold_face": cold, "not_alive": not living})
        return replace(evidence, alive=evidence.alive and living and not cold, why=(*against, *evidence.why))

    def _is_cold(self, count: int) -> bool:
        """The newest ``count`` frames show a face in colour and in thermal a thing: a screen plays somebody's pulse."""
        return self._warm(count / self._bundle.fps) and is_cold_and_even(self._cells.window()[3, -count:])

    @property
    def _of_this_place(self) -> int:
        """How many of the newest samples belong to the place that thermal shows."""
        since = self._frames - self._warm_from
        wave = self._waves.get("rsp")
        return since if wave is None else min(since, wave.end - wave.start)

    def _warm(self, longest_s: float) -> bool:
        """Enough real thermal frames among the newest for thermal to count."""
        newest = min(round(longest_s * self._bundle.fps), max(1, self._frames - self._warm_from))
        bridged = self._cells.marked(Mark.THERMAL_BRIDGED)[-newest:]
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

    def _window_waves(self) -> Waves | None:
        """Waveform of windows since the last call, up to the newest second; gaps are NaN. None where a stream shows.

        RSP is shown only while RR is believed.
        """
        oldest = max((wave.start for wave in self._windows.values()), default=0)
        end = max((wave.end for wave in self._windows.values()), default=0) - round(_WAVE_DELAY_S * self._bundle.fps)
        start = max(oldest, self._frames - len(self._cells), *self._sent.values())
        if end <= start or (self._stream and self._stream.first <= start):
            return None
        self._sent = dict.fromkeys(self._sent, end)
        parts = {task: self._wave(task, self._windows[task], start, end) for task in self._bundle.tasks}
        return self._shown(parts, start, "exact" if self._stream else None)

    def _streamed_waves(self, stream: StreamPath) -> Sequence[Waves]:
        """What the last chunk gave, and what stands between it and the last piece shown: a piece for each task."""
        pieces = []
        for task in self._bundle.tasks:
            wave = stream.waves[task]
            start, end = max(self._sent[task], wave.start, self._frames - len(self._cells)), wave.end
            if end > start:
                self._sent[task] = end
                pieces.append(self._shown({task: self._wave(task, wave, start, end)}, start, "stream"))
        return [piece for piece in pieces if piece is not None]

    def _shown(
        self, parts: Mapping[Task, npt.NDArray[np.float32] | None], start: int, mode: Mode | None
    ) -> Waves | None:
        """Those of ``parts`` that may be shown, where any may; sample 0 has index ``start``.

        Without a pulse there is no breath to show either, unless the model has none.
        """
        shown = _SHOWN_STREAMED if mode else _SHOWN
        hr, rr = (state in shown for state in self._states)
        allowed = {"bvp": hr, "rsp": rr and (hr or "bvp" not in self._bundle.tasks)}
        bvp, rsp = (parts.get(task) if allowed[task] else None for task in _TASKS)
        if bvp is None and rsp is None:
            return None
        t0_ns = self._newest_ns - round((self._frames - 1 - start) * 1e9 / self._bundle.fps)
        sources = self._bundle.manifest.sources
        named = (sources.get(task, ("rgb",))[0] for task in _TASKS)
        return Waves(Signals(bvp, rsp, self._bundle.fps, t0_ns, *named), mode, self._states)

    def _wave(self, task: Task, wave: _Waveform, start: int, end: int) -> npt.NDArray[np.float32] | None:
        if not self._believes(task) or not wave.start <= start < end <= wave.end:
            return None
        gaps = Mark.RGB_BRIDGED | (Mark.THERMAL_BRIDGED if self._bundle.needs_thermal(task) else Mark.NONE)
        first = len(self._cells) - self._frames  # ring position of sample 0
        marked = self._cells.marked(gaps)[first + start : first + end]
        samples = wave.between(start, end)
        samples[marked] = np.nan
        return samples


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
