"""A device for tests of the page: the real sink, fed with records as a run makes them, at times that a test sets."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

from edge.sight import FaceSeen, Sight
from edge.sinks import SinkContext
from edge.sinks.factory import RecordFactory
from edge.sinks.web.address import Address
from edge.sinks.web.sink import WebSink
from edge.vitals import Estimate, Vitals

__all__ = ["OK_HR", "OK_RR", "Bedside", "Clock", "lost", "sight"]

S = 1_000_000_000
OK_HR = Estimate(71.8, 0.82, "ok", (), 10.0, 240, 0.9)
OK_RR = Estimate(15.2, 0.64, "ok", (), 30.0, 240, 0.6)


def lost(*why: str, state: Any = "lost") -> Estimate:
    return Estimate(None, 0.2, state, why, 10.0, 240, None)


def sight(**changes: Any) -> Sight:
    face = FaceSeen("main", 0, (0.4, 0.3, 0.16, 0.28), 205.0, 148.0, 1.0, None)
    corners = ((0.1, 0.05), (0.92, 0.04), (0.93, 0.95), (0.09, 0.96))
    return dataclasses.replace(Sight(0, 1280, 720, 120.0, (face,), corners, 80.0), **changes)


class Clock:
    """CLOCK_MONOTONIC as a test wants it: it stands still."""

    def __init__(self) -> None:
        self.now_ns = 1000 * S

    def __call__(self) -> int:
        return self.now_ns


class Bedside:
    """``second`` counts the looks. The device's clock is ``clock``; what a browser's does is its own matter."""

    def __init__(self, address: Address | None = None, **context: Any) -> None:
        self.clock = Clock()
        self.factory = RecordFactory("kit-7", mono_clock=self.clock)
        self.sink = WebSink(address or Address("127.0.0.1", 0), SinkContext("kit-7", **context), self.clock)
        self.second = 100
        self.links = ""

    def open(self, capsys: Any) -> None:
        """Open, and take the links off standard error."""
        self.sink.open()
        self.links = capsys.readouterr().err
        self.send(self.factory.status("online", "started"))

    @property
    def url(self) -> str:
        return re.findall(r"https?://\S+", self.links)[0]

    def meta(self, *zones: str) -> None:
        self.send(
            self.factory.meta(
                software="mmrphys-edge 0.1.0", bundle="sha256:ab", signature="none", graph="window.cpu-fp32.onnx",
                graph_why="a test", runtime="onnxrt", mode="exact", zones=zones or ("main",),
                cameras={"rgb": "v4l2:/dev/video0", "thermal": "lepton:/dev/video2"},
            )
        )  # fmt: skip

    def send(self, record: Any) -> None:
        self.sink.write(record, self.second * S)

    def look(
        self, hr: Estimate = OK_HR, rr: Estimate = OK_RR, *, zone: str = "main", person: int = 0, **changes: Any
    ) -> None:
        """One record of numbers."""
        vitals = Vitals(
            hr=hr, rr=rr, pts_ns=self.second * S, zone=zone, person=person, mode="exact", bundle_id="sha256:ab",
            fps={"rgb": 29.97, "thermal": 8.7}, dropped={"rgb": 0, "thermal": 2}, skew_ms=21.0,
        )  # fmt: skip
        self.send(self.factory.numerics(dataclasses.replace(vitals, **changes)))

    def waves(self, *, zone: str = "main", person: int = 0, resp: bool = True, rate: float = 72.0) -> None:
        """The blocks of this second: a pulse with a second wave, and breathing; every seventh has a gap."""
        for name, source in (("pleth", "rgb"), ("resp", "thermal")) if resp else (("pleth", "rgb"),):
            t = [self.second - 2 + i / 30.0 for i in range(30)]
            values = [_pulse(x * rate / 60.0) if name == "pleth" else math.sin(x * 1.6) for x in t]
            if self.second % 7 == 0:
                values[10:20] = [math.nan] * 10
            self.send(
                self.factory.wave(
                    name, values, fs=30.0, t0_ns=(self.second - 2) * S, zone=zone, person=person, source=source
                )
            )

    def step(self, seconds: int = 1) -> None:
        """Time passes on the device and in its stream."""
        self.second += seconds
        self.clock.now_ns += seconds * S


def _pulse(beats: float) -> float:
    phase = beats % 1.0
    return math.exp(-((phase - 0.25) ** 2) / 0.01) + 0.35 * math.exp(-((phase - 0.55) ** 2) / 0.015)
