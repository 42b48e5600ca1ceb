"""EDF+ files from records (edfplus.info/specs/edfplus.html), written by pyedflib: one for each run of the device.

EDF+ knows no missing sample, and its discontinuous form (EDF+D) is one that common readers refuse or read as if it had
no gaps. So the files are continuous, a place without a value holds the signal's physical minimum, which no value has,
and an annotation marks each gap with its length. States of the rates are annotations too.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyedflib

from edge.errors import FaultError, InputError, UsageError
from edge.health.edf_grid import MISSING, DataRecord, Grid, Signal, record_seconds
from edge.health.survey import Run, Zone
from edge.sinks.reading import reading_from_rate
from edge.sinks.records import Numerics, Rate, Record, Wave

__all__ = ["EdfFile", "signals_of"]

_UNKNOWN_START = datetime(1985, 1, 1)  # noqa: DTZ001 - EDF has no time zones; the earliest start that a header can hold
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, as the README says
_ANNOTATIONS = 2
"""Annotations that fit into one data record."""
_GAP = "gap: "
_TEXT_BYTES = 40
"""The longest text that the library writes."""
_WAVES = {"pleth": "Pleth camera", "resp": "Resp camera"}
_RATES = {"hr": ("HR", 250.0), "rr": ("RR", 100.0)}
_TOP = (1.0, 2.0, 5.0)


def signals_of(run: Run, zone: Zone) -> list[Signal]:
    """The signals of a run in one zone: its waves, then for each rate the value, the doubtful one, and the quality."""
    waves = [
        Signal(_WAVES[name], "", -_above(peak), _above(peak), run.fs[name]) for name, peak in sorted(zone.peak.items())
    ]
    rates = [
        signal
        for label, high in _RATES.values()
        for signal in (
            Signal(label, "/min", 0.0, high, 1.0),
            Signal(f"{label} doubtful", "/min", 0.0, high, 1.0),
            Signal(f"{label} SQI", "", -1.0, 1.0, 1.0),
        )
    ]
    return waves + rates


class EdfFile:
    """One file. ``lost`` counts samples that came too late to be placed, ``untold`` annotations without room."""

    def __init__(self, path: Path, run: Run, zone: Zone, subject: str | None) -> None:
        self._signals = signals_of(run, zone)
        self._waves = {name: place for place, name in enumerate(sorted(zone.peak))}
        seconds = record_seconds([signal.fs for signal in self._signals])
        if seconds is None:
            rates = ", ".join(f"{fs:g}" for fs in run.fs.values())
            raise InputError(f"waves at {rates} samples per second do not fit into whole seconds of EDF+; use --to csv")
        self._seconds = seconds
        self._begin_ns, self._start = _whole_second(run, zone.begin_ns or 0)
        self._first_look_ns: int | None = None
        self._grid = Grid(self._signals, seconds, self._begin_ns)
        self._gaps: dict[int, float | None] = {}
        self._said: dict[str, str] = {}
        self._told = self._written = 0
        self._annotations: list[tuple[float, float, str]] = []
        self.untold = 0
        self._path = path
        try:
            self._writer = pyedflib.EdfWriter(str(path), len(self._signals), pyedflib.FILETYPE_EDFPLUS)
            self._write_head(run, subject)
        except OSError as error:
            raise UsageError(f"{path} cannot be made: {error}; name a new file in a folder you may write to") from error

    @property
    def lost(self) -> int:
        """Samples that came too late to be placed, or whose place another took."""
        return self._grid.misplaced + self._grid.doubled

    def write(self, record: Record) -> None:
        """Place one record; FaultError when the file cannot be written."""
        if isinstance(record, Numerics):
            self._put_look(record)
        elif isinstance(record, Wave):
            self._grid.put(self._waves[record.wave], record.t0_ns, record.samples)
            if isinstance(record.state, str):
                self._say(record.t0_ns, record.wave, f"{record.wave} {record.state}")
        for full in self._grid.full():
            self._write_record(full)

    def close(self) -> None:
        """Write what is held and the annotations."""
        for rest in self._grid.rest():
            self._write_record(rest)
        for place, begin_s in self._gaps.items():
            if begin_s is not None:
                self._note_gap(place, begin_s, self._written * self._seconds)
        room = _ANNOTATIONS * self._written
        self.untold = max(0, len(self._annotations) - room)
        gaps_first = sorted(self._annotations, key=lambda one: not one[2].startswith(_GAP))
        for onset_s, length_s, text in sorted(gaps_first[:room]):
            self._writer.writeAnnotation(onset_s, length_s, text)
        self._writer.close()

    def abandon(self) -> None:
        """Close without a word, after an error."""
        with contextlib.suppress(OSError):
            self._writer.close()

    def _write_head(self, run: Run, subject: str | None) -> None:
        if self._start is None:
            self._annotations.append((0.0, -1.0, "start time unknown"))
        writer = self._writer
        writer.setStartdatetime(self._start or _UNKNOWN_START)
        writer.setPatientCode(_word(subject or ""))
        writer.setEquipment(_word(run.device))
        writer.setRecordingAdditional(f"{run.boot}_research_use")
        writer.set_number_of_annotation_signals(_ANNOTATIONS)
        with warnings.catch_warnings():  # it warns of lengths that no rate fits into; this one was chosen to fit all
            warnings.simplefilter("ignore")
            writer.setDatarecordDuration(self._seconds)
        writer.setSignalHeaders([_header(signal) for signal in self._signals])

    def _put_look(self, record: Numerics) -> None:
        at_ns = self._second_of(record.pts_ns)
        self._say(record.pts_ns, "person", f"person {record.person}")
        for number, (name, rate) in enumerate((("hr", record.hr), ("rr", record.rr))):
            reading = reading_from_rate(rate)
            for place, value in enumerate((reading.value, reading.doubtful, rate.sqi)):
                self._grid.put(len(self._waves) + 3 * number + place, at_ns, (value,))
            self._say(record.pts_ns, name, _state_text(name, rate))

    def _second_of(self, pts_ns: int) -> int:
        """The begin of the second in which a look was made, which is one of its own for each, however frames jitter."""
        if self._first_look_ns is None:
            self._first_look_ns = pts_ns
        first = (self._first_look_ns - self._begin_ns) // 10**9
        return self._begin_ns + (first + round((pts_ns - self._first_look_ns) / 1e9)) * 10**9

    def _say(self, pts_ns: int, about: str, text: str) -> None:
        if self._said.get(about) != text:
            self._said[about] = text
            self._annotations.append((max(0.0, (pts_ns - self._begin_ns) / 1e9), -1.0, text))

    def _write_record(self, samples: DataRecord) -> None:
        for place in (*self._waves.values(), len(self._waves) + 2):  # waves, and whether there was a look
            self._find_gaps(place, samples)
        for one in samples:
            if self._writer.writeDigitalShortSamples(one) < 0:
                raise FaultError(f"{self._path} cannot be written on; make room and try again")
        self._written += 1

    def _find_gaps(self, place: int, samples: DataRecord) -> None:
        begin_s, fs = self._written * self._seconds, self._signals[place].fs
        missing = samples[place] == MISSING
        was = self._gaps.get(place) is not None
        for at in np.flatnonzero(np.diff(missing, prepend=np.bool_(was))):
            now_s = begin_s + at / fs
            if missing[at]:
                self._gaps[place] = now_s
            else:
                self._note_gap(place, self._gaps[place] or 0.0, now_s)
                self._gaps[place] = None

    def _note_gap(self, place: int, begin_s: float, end_s: float) -> None:
        name = next((name for name, number in self._waves.items() if number == place), "looks")
        self._annotations.append((begin_s, end_s - begin_s, f"{_GAP}{name}"))


def _whole_second(run: Run, begin_ns: int) -> tuple[int, datetime | None]:
    """The stream time of the last whole second of the clock up to ``begin_ns``, and that second where it is known."""
    wall_ns = run.wall_ns(begin_ns)
    if wall_ns is None:
        return begin_ns, None
    return begin_ns - wall_ns % 10**9, _EPOCH + timedelta(seconds=wall_ns // 10**9)


def _above(peak: float) -> float:
    """The next of 1, 2, 5 times a power of ten, which eight characters of a header hold exactly."""
    steps: Iterator[float] = (top * 10.0**power for power in range(-3, 7) for top in _TOP)
    return next((step for step in steps if step > peak), 1e7)


def _header(signal: Signal) -> dict[str, str | float | int | None]:
    return {
        "label": signal.label, "dimension": signal.unit, "sample_frequency": signal.fs,
        "physical_min": signal.low, "physical_max": signal.high, "digital_min": MISSING, "digital_max": 32767,
        "transducer": "camera, without contact", "prefilter": f"no value: {signal.low:g}",
    }  # fmt: skip


def _state_text(name: str, rate: Rate) -> str:
    text = f"{name} {rate.state}" + (f": {' '.join(rate.why)}" if rate.why else "")
    return text.encode()[:_TEXT_BYTES].decode(errors="ignore")


def _word(text: str) -> str:
    """As a part of an EDF+ header: ASCII without blanks, and short enough for what stands beside it."""
    return "_".join(text.encode("ascii", "replace").decode().split())[:24]
