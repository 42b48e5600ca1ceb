"""Rows of the table of sinks whose reader reads a file later: what is told of a value is when it was."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar

from faults.stale_world import S, Seen, World

from edge.health.convert import Format, convert
from edge.health.survey import Choice
from edge.recording.reader import McapReader, Message
from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.clocks import ns_from_rfc3339
from edge.sinks.records import Record

__all__ = ["Csv", "Edf", "Fhir", "FhirBundle", "Jsonl", "Mcap", "claims"]

_CODES = {"8867-4": "hr", "9279-1": "rr"}


def claims(records: Iterable[dict[str, Any]]) -> Iterator[Seen]:
    """What records say by themselves: their values, when they were made, and how old the values were then."""
    for record in records:
        for name in ("hr", "rr"):
            rate = record.get(name)
            if record["kind"] == "numerics" and rate["value"] is not None:
                at_ns = record["mono_ns"]
                yield Seen(name, rate["value"], at_ns, at_ns - rate["age_ms"] * 10**6)


class _File:
    scheme: ClassVar[str] = "jsonl"

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.path = folder / f"records.{self.scheme}"
        self._sink = sink_from_uri(f"{self.scheme}:{self.path}", SinkContext("kit-7"))
        self._sink.open()

    def write(self, record: Record, pts_ns: int) -> None:
        self._sink.write(record, pts_ns)

    def tick(self) -> None: ...

    def peer(self, fault: str) -> None: ...

    def seen(self) -> Iterator[Seen]:
        yield from ()

    def close(self) -> Iterator[Seen]:
        assert self._sink.close() == 0
        yield from self.read()

    def read(self) -> Iterator[Seen]:
        yield from claims(json.loads(line) for line in self.path.read_bytes().splitlines())


class Jsonl(_File):
    """``jsonl:``."""


class Mcap(_File):
    """``mcap:``; a recording holds the same."""

    scheme = "mcap"

    def read(self) -> Iterator[Seen]:
        messages = (item for item in McapReader(self.path) if isinstance(item, Message))
        yield from claims(json.loads(message.data) for message in messages if message.topic == "/records")


class _Converted(_File):
    form: ClassVar[Format]

    def read(self) -> Iterator[Seen]:
        out = self.path.with_suffix(".out")
        convert(self.path, self.form, out, Choice())
        yield from self.parsed(out)

    def parsed(self, out: Path) -> Iterator[Seen]:
        raise NotImplementedError

    def at(self, wall: str) -> int:
        return self.world.mono_ns(ns_from_rfc3339(wall))


class Fhir(_Converted):
    """Lines of Observations: a value belongs to the end of its period; one whose time is not known claims none."""

    form = "fhir"

    def parsed(self, out: Path) -> Iterator[Seen]:
        yield from self._observations(json.loads(line) for line in out.read_bytes().splitlines())

    def _observations(self, found: Iterable[dict[str, Any]]) -> Iterator[Seen]:
        for one in found:
            period = one.get("effectivePeriod")
            if "valueQuantity" in one and period is not None:
                at_ns = self.at(period["end"])
                yield Seen(_CODES[one["code"]["coding"][0]["code"]], one["valueQuantity"]["value"], at_ns, at_ns)


class FhirBundle(Fhir):
    """The same as one resource."""

    form = "fhir-bundle"

    def parsed(self, out: Path) -> Iterator[Seen]:
        yield from self._observations(entry["resource"] for entry in json.loads(out.read_bytes())["entry"])


class Csv(_Converted):
    """A row has the moment it was made, where that is known, and the age."""

    form = "csv"

    def parsed(self, out: Path) -> Iterator[Seen]:
        for row in csv.DictReader(out.open(newline="", encoding="utf-8")):
            for name in ("hr", "rr"):
                if row[f"{name} [/min]"] and row["time [UTC]"]:
                    at_ns = self.at(row["time [UTC]"])
                    age_ns = int(row[f"{name} age [ms]"]) * 10**6
                    yield Seen(name, float(row[f"{name} [/min]"]), at_ns, at_ns - age_ns)


class Edf(_Converted):
    """A sample belongs to its second; a file whose start is not known claims none."""

    form = "edf"

    def parsed(self, out: Path) -> Iterator[Seen]:
        import edfio

        edf = edfio.read_edf(out)
        if any(one.text == "start time unknown" for one in edf.annotations):
            return
        begin = datetime.combine(edf.startdate, edf.starttime, timezone.utc)
        begin_ns = self.world.mono_ns(round(begin.timestamp()) * S)
        for name in ("hr", "rr"):
            for second, value in enumerate(edf.get_signal(name.upper()).data):
                if value > 0:
                    at_ns = begin_ns + (second + 1) * S  # at the latest
                    yield Seen(name, float(value), at_ns, at_ns - S)
