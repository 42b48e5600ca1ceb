"""What must be known of a whole file before it is converted: runs, clocks, who is in them, how large waves are.

Whether a run was live is told by its health records, which carry an uptime only then; without any, by its pace. A file
or scene that was played says when it was played, and nothing about when the person was there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from edge.errors import InputError, UsageError
from edge.sinks.clocks import keeps_step, ns_from_rfc3339
from edge.sinks.records import Health, Meta, Numerics, Record, Wave

__all__ = ["Choice", "Run", "Survey", "Zone", "survey_of"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user chose: a zone and a person (None: all), and whose measurements they are (None: nobody is named)."""

    zone: str | None = None
    person: int | None = None
    subject: str | None = None

    def takes(self, record: Record) -> bool:
        """Whether ``record`` is a measurement that was chosen."""
        if not isinstance(record, (Numerics, Wave)):
            return False
        return self.zone in (None, record.zone) and self.person in (None, record.person)


@dataclass(slots=True)
class Zone:
    """One zone of one run: ``crowded`` when two people were in it at once; ``peak`` is its waves' largest magnitude.

    ``begin_ns`` is the earliest stream time of a look or a wave.
    """

    looks: int = 0
    begin_ns: int | None = None
    crowded: bool = False
    peak: dict[str, float] = field(default_factory=dict)
    _person: int | None = None
    _pts_ns: int | None = None

    def see(self, person: int, pts_ns: int) -> None:
        """Count one look at a person."""
        self.looks += 1
        self.begin(pts_ns)
        self.crowded = self.crowded or (pts_ns == self._pts_ns and person != self._person)
        self._person, self._pts_ns = person, pts_ns

    def begin(self, pts_ns: int) -> None:
        """Something was there at stream time ``pts_ns``."""
        self.begin_ns = pts_ns if self.begin_ns is None else min(self.begin_ns, pts_ns)


@dataclass(slots=True)
class Run:
    """One process of a device.

    ``ahead_ns`` is how far the wall clock is ahead of stream time, where the wall clock followed a time server: the
    least that any look shows, for a record is made a moment after what it is about.
    """

    device: str
    boot: str
    scene: bool = False
    ahead_ns: int | None = None
    fs: dict[str, float] = field(default_factory=dict)
    zones: dict[str, Zone] = field(default_factory=dict)
    _told_live: bool | None = None
    _begin: tuple[int, int] | None = None
    _in_step: bool = True

    @property
    def live(self) -> bool:
        """Whether it watched a camera, so that its records tell when the person was there."""
        return self._in_step if self._told_live is None else self._told_live

    def wall_ns(self, pts_ns: int) -> int | None:
        """Nanoseconds since 1970 at stream time ``pts_ns``; None where nobody knows."""
        return pts_ns + self.ahead_ns if self.live and self.ahead_ns is not None else None

    def see(self, record: Record) -> None:
        """Learn from one record."""
        if isinstance(record, Numerics):
            self.zones.setdefault(record.zone, Zone()).see(record.person, record.pts_ns)
            self._see_clocks(record)
        elif isinstance(record, Wave):
            self._see_wave(record)
        elif isinstance(record, Health):
            self._told_live = record.uptime_s is not None
        elif isinstance(record, Meta):
            self.scene = self.scene or any(uri.startswith("synthetic:") for uri in record.cameras.values())

    def _see_clocks(self, record: Numerics) -> None:
        begin_pts, begin_mono = self._begin = self._begin or (record.pts_ns, record.mono_ns)
        stream_s, made_s = (record.pts_ns - begin_pts) / 1e9, (record.mono_ns - begin_mono) / 1e9
        self._in_step = self._in_step and keeps_step(stream_s, made_s)
        if record.clock == "synced":
            ahead_ns = ns_from_rfc3339(record.time) - record.pts_ns
            self.ahead_ns = ahead_ns if self.ahead_ns is None else min(self.ahead_ns, ahead_ns)

    def _see_wave(self, record: Wave) -> None:
        zone = self.zones.setdefault(record.zone, Zone())
        zone.begin(record.t0_ns)
        peak = max((abs(x) for x in record.samples if x is not None), default=0.0)
        zone.peak[record.wave] = max(zone.peak.get(record.wave, 0.0), peak)
        if self.fs.setdefault(record.wave, record.fs) != record.fs:
            raise InputError(
                f"run {record.boot} has {record.wave} at {self.fs[record.wave]:g} and {record.fs:g} samples a second; "
                "want one rate in a run"
            )


@dataclass(frozen=True, slots=True)
class Survey:
    """A file's runs by device and boot, its number of sound records, and how many are damaged."""

    runs: dict[tuple[str, str], Run]
    records: int
    damaged: int

    def run_of(self, record: Record) -> Run:
        """The run that a record belongs to."""
        return self.runs[record.device, record.boot]

    def check(self, choice: Choice, *, one_person: bool, what: str) -> None:
        """See that what was chosen is there and, where ``one_person`` is wanted, that it is one person's.

        ``what`` wants one person, for the message.

        Raises
        ------
        UsageError
            There is no such zone, or a zone or person must be named.
        InputError
            Nothing was measured, or the records of several devices stand where one person is wanted.
        """
        names = sorted({name for run in self.runs.values() for name in run.zones})
        if not any(zone.looks for run in self.runs.values() for zone in run.zones.values()):
            raise InputError("the file holds no numerics records; want records of --sink jsonl:FILE")
        if choice.zone is not None and choice.zone not in names:
            raise UsageError(f"--zone {choice.zone}: the records hold no such zone; seen {', '.join(names)}")
        if one_person:
            self._check_one(choice, names, what)

    def _check_one(self, choice: Choice, names: list[str], what: str) -> None:
        devices = sorted({device for device, _ in self.runs})
        if len(devices) > 1:
            raise InputError(f"the records are of {len(devices)} devices ({', '.join(devices)}); {what} wants one")
        if choice.zone is None and len(names) > 1:
            raise UsageError(f"the records hold several zones: {', '.join(names)}; {what} wants one: add --zone NAME")
        chosen = [run.zones[name] for run in self.runs.values() for name in run.zones if choice.zone in (None, name)]
        if choice.person is None and any(zone.crowded for zone in chosen):
            raise UsageError(f"two people were in one zone at once; {what} wants one: add --person N")


def survey_of(records: Iterable[Record], damaged: int = 0) -> Survey:
    """Read all of ``records`` once; InputError when a run's waves change their rate."""
    runs: dict[tuple[str, str], Run] = {}
    number = 0
    for record in records:
        number += 1
        key = (record.device, record.boot)
        runs.setdefault(key, Run(*key)).see(record)
    return Survey(runs, number, damaged)
