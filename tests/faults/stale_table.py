"""The table of sinks and their readers, for the property that none shows a value older than 10 s as valid.

A new sink is one row: its module, and somebody who reads it (:class:`faults.stale_world.Row`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from faults.stale_files import Csv, Edf, Fhir, FhirBundle, Jsonl, Mcap
from faults.stale_links import Hl7, Mqtt, SerialCsv, SerialFrame, SerialLine
from faults.stale_screens import (
    ConsoleLines,
    ConsoleTable,
    Fleet,
    HomeAssistant,
    MeasureBar,
    MeasureReport,
    Page,
    PageMetrics,
)
from faults.stale_world import Row, World

__all__ = ["TABLE", "Reading"]


@dataclass(frozen=True)
class Reading:
    """``of`` is the module of a sink, ``convert --to FORMAT``, or a command; ``schedules`` are played of it."""

    of: str
    make: Callable[[World, Path], Row]
    schedules: int
    needs_broker: bool = False


TABLE: Mapping[str, Reading] = {
    "console, table": Reading("edge.sinks.console", ConsoleTable, 1),
    "console, lines": Reading("edge.sinks.console", ConsoleLines, 12),
    "jsonl": Reading("edge.sinks.jsonl", Jsonl, 12),
    "mcap": Reading("edge.sinks.mcap", Mcap, 6),
    "serial, line": Reading("edge.sinks.serial_line", SerialLine, 12),
    "serial, csv": Reading("edge.sinks.serial_line", SerialCsv, 12),
    "serial, frame": Reading("edge.sinks.serial_line", SerialFrame, 12),
    "mqtt": Reading("edge.sinks.mqtt", Mqtt, 1, needs_broker=True),
    "mqtt, Home Assistant": Reading("edge.sinks.mqtt", HomeAssistant, 12),
    "hl7": Reading("edge.sinks.hl7", Hl7, 1),
    "web, page": Reading("edge.sinks.web", Page, 6),
    "web, metrics": Reading("edge.sinks.web", PageMetrics, 6),
    "fleet --vitals": Reading("fleet", Fleet, 12),
    "measure, while it looks": Reading("measure", MeasureBar, 12),
    "measure, the result": Reading("measure", MeasureReport, 12),
    "convert --to fhir": Reading("convert --to fhir", Fhir, 4),
    "convert --to fhir-bundle": Reading("convert --to fhir-bundle", FhirBundle, 1),
    "convert --to csv": Reading("convert --to csv", Csv, 6),
    "convert --to edf": Reading("convert --to edf", Edf, 4),
}
