"""A port that is pulled out and put back (pseudo-terminals behind a link that moves): how long until lines come again.

``python tests/faults/serial_replug.py --rounds 20 --out tests/faults/results/serial_replug.json`` (from the checkout).
The real sink runs with its thread and the real clock; the absence is 0.1 to 8 s.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes.serial_ports import Pty
from faults.finding import Finding
from faults.program import main

from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.factory import RecordFactory
from edge.sinks.line import LineReader
from edge.vitals import Estimate, Vitals

LONGEST_S = 8.0
LIMIT_S = 5.0
PERIOD_S = 0.05


def run(folder: Path, *, full: bool) -> Finding:
    """As a row of the campaigns."""
    found = report(20 if full else 1, seed=7, longest_s=LONGEST_S if full else 0.2)
    figures = {
        f"port back to {what}, {how} (s)": found[key][how]
        for key, what in (("opened_s", "open"), ("first_line_s", "first line"))
        for how in ("median", "max")
    }
    slow = () if found["ok"] else (f"lines came {found['first_line_s']['max']} s after the port; wanted 5",)
    return Finding(found["rounds"], figures, slow)


def report(rounds: int, seed: int, longest_s: float = LONGEST_S) -> dict[str, Any]:
    """Seconds from the port's return to its opening and to the first line; ``ok`` when none is over 5."""
    chance = random.Random(seed)
    vitals = _vitals()
    factory = RecordFactory("kit-7")
    opened_s: list[float] = []
    line_s: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "by-id"
        pty = Pty()
        place.symlink_to(pty.path)
        sink = sink_from_uri(f"serial:{place}", SinkContext("kit-7"))
        sink.open()
        for _ in range(rounds):
            pty.unplug()
            _until(lambda: not sink.connected)
            _absent(chance.uniform(0.1, longest_s))
            pty = Pty()
            place.unlink()
            place.symlink_to(pty.path)
            began_s = time.monotonic()
            _until(lambda: sink.connected)
            opened_s.append(time.monotonic() - began_s)
            reader = LineReader()
            while not reader.good:
                sink.write(factory.numerics(vitals), 0)
                list(reader.feed(pty.read(PERIOD_S)))
            line_s.append(time.monotonic() - began_s)
        sink.close()
        pty.unplug()
    return {
        "campaign": "serial_replug", "rounds": rounds, "seed": seed, "opened_s": _spread(opened_s),
        "first_line_s": _spread(line_s), "ok": max(line_s) <= LIMIT_S,
    }  # fmt: skip


def _spread(seconds: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(seconds), 2), "max": round(max(seconds), 2)}


def _until(true: Callable[[], bool]) -> None:
    while not true():
        _absent(0.005)


def _absent(seconds: float) -> None:
    threading.Event().wait(seconds)


def _vitals() -> Vitals:
    rate = Estimate(71.8, 0.8, "ok", (), 10.0, 240, None)
    return Vitals(rate, rate, 0, "main", 0, "exact", "", {}, {})


if __name__ == "__main__":
    sys.exit(main(report, __doc__, 20))
