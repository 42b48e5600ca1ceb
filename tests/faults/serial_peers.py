"""The other end of a serial port stalls, or talks garbage (pseudo-terminals): the run goes on, and so do lines.

The sink runs with its thread and the real clock. That a port is closed is ``serial_replug``.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from fakes.broker import until
from fakes.serial_ports import Pty
from faults.finding import Finding
from faults.ward import numerics

from edge.sinks import Sink, SinkContext, sink_from_uri
from edge.sinks.factory import RecordFactory
from edge.sinks.serial_decode import SerialDecoder

__all__ = ["run"]

_PROFILES = ("line", "csv", "frame")
_WRITE_S = 5.0
"""``write`` waits for 0.5 s at most; what takes ten times as long hangs."""


def run(folder: Path, *, full: bool) -> Finding:
    """Each fault with each profile, 5 times; short: each fault once."""
    chance, factory = random.Random(9), RecordFactory("kit-7")
    cases = [(fault, profile) for fault in ("stalls", "garbage") for profile in _PROFILES] * 5
    cases = cases if full else [("stalls", "line"), ("garbage", "frame")]
    waited_s, back_s, old_s, sent, strange = [0.0], [], [0.0], set[int](), 0
    for fault, profile in cases:
        pty, decoder = Pty(), SerialDecoder()
        if fault == "stalls":
            _fill(pty)
        kit = sink_from_uri(f"serial:{pty.path}?profile={profile}", SinkContext("kit-7", zones=("bed-3",)))
        kit.open()
        end_s = time.monotonic() + (chance.uniform(0.8, 3.0) if full else 0.7)
        while time.monotonic() < end_s:
            sent.add(_write(kit, factory, chance, waited_s))
            if fault == "garbage":
                pty.write(chance.randbytes(chance.randrange(1, 200)))
                strange += _hear(decoder, pty.read(0.005), sent, old_s)
            else:
                time.sleep(0.02)
        begin_s = time.monotonic()
        fresh: set[int] = set()

        def is_back(fresh: set[int] = fresh, kit: Sink = kit, pty: Pty = pty, decoder: SerialDecoder = decoder) -> bool:
            nonlocal strange
            fresh.add(_write(kit, factory, chance, waited_s))
            sent.update(fresh)
            data = pty.read(0.02)
            heard = [one for one in decoder.feed(data) if hasattr(one.what, "hr")]
            strange += sum(one.seq not in {seq % 2**16 for seq in sent} | sent for one in heard)
            return any(one.seq in fresh for one in heard)

        until(is_back, "a new line", 30.0)
        back_s.append(time.monotonic() - begin_s)
        kit.close()
        pty.unplug()
    figures = {
        "records sent": len(sent), "strange records read": strange, "longest write, s": round(max(waited_s), 3),
        "new lines after the fault within, s": round(max(back_s), 3), "oldest that came, s": round(max(old_s), 2),
    }  # fmt: skip
    failures = [f"{strange} records were read that nobody sent"] * bool(strange)
    failures += [f"a write took {max(waited_s):.1f} s"] * (max(waited_s) > _WRITE_S)
    return Finding(len(cases), figures, tuple(failures))


def _fill(pty: Pty) -> None:
    """Leave no room on the way to the reader, who takes nothing: a pseudo-terminal holds some ten thousand bytes.

    The kernel moves them on by and by, so it is full when there was no room for a while.
    """
    fd = os.open(pty.path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    full_s = time.monotonic()
    while time.monotonic() - full_s < 0.1:
        try:
            os.write(fd, b"\n" * 64)
            full_s = time.monotonic()
        except BlockingIOError:
            time.sleep(0.005)
    os.close(fd)


def _write(kit: Sink, factory: RecordFactory, chance: random.Random, waited_s: list[float]) -> int:
    record = numerics(factory, chance)
    begin_s = time.monotonic()
    kit.write(record, 0)
    waited_s.append(time.monotonic() - begin_s)
    return record.seq


def _hear(decoder: SerialDecoder, data: bytes, sent: set[int], old_s: list[float]) -> int:
    """How many records were read that nobody sent; notes how old the others are."""
    heard = [one for one in decoder.feed(data) if hasattr(one.what, "hr")]
    old_s += [(time.monotonic_ns() // 10**6 - one.t_ms) % 2**32 / 1000 for one in heard]
    return sum(one.seq not in sent for one in heard)
