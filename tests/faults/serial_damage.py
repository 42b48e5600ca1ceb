"""Damaged frames and lines against both decoders: no wrong one may be accepted, no undamaged one lost.

``python tests/faults/serial_damage.py --rounds 1000000 --out tests/faults/results/serial.json`` (from the checkout).
A round is one damaged frame and one damaged line (garbage between two messages damages none and comes on top); about
every third message stays whole.
"""

from __future__ import annotations

import itertools
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes import c_library
from faults.finding import Finding
from faults.program import main

from edge.sinks.factory import RecordFactory
from edge.sinks.frame_layout import PAYLOADS, FrameType
from edge.sinks.framing import Deframer, Frame, encode_frame
from edge.sinks.line import LineReader, line_from_numerics
from edge.sinks.records import Numerics
from edge.sinks.serial_frame import event_payload, hello_payload, numerics_payload, seen_from_frame, wave_payloads
from edge.vitals import STATES, VALUE_STATES, Estimate, State, Vitals

DAMAGED_SHARE = 0.7
BATCH = 50_000
GARBAGE_SHARE = 0.15
KINDS = ("bits", "cut", "inserted", "burst", "reversed", "repeated")

Accepted = tuple[Any, ...]


@dataclass
class Stream:
    """What was sent, as bytes after damage, and what each message says."""

    data: bytes = b""
    sent: dict[int, Accepted] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)
    kinds: dict[str, int] = field(default_factory=dict)


@dataclass
class Verdict:
    """Counts over all streams of one decoder."""

    accepted: int = 0
    wrong: int = 0
    untouched: int = 0
    untouched_lost: int = 0
    seconds: float = 0.0


def run(folder: Path, *, full: bool) -> Finding:
    """As a row of the campaigns."""
    found = report(1_000_000 if full else 1_000, seed=7)
    figures: dict[str, float | int | str] = {}
    failures = []
    for profile, decoder in itertools.product(("frame", "line"), ("python", "c")):
        verdict = found[profile][decoder]
        name = f"damaged {profile}s taken for others by {decoder}"
        figures[name] = verdict.get("skipped") or verdict["wrong"]
        if verdict.get("wrong") or verdict.get("untouched_lost"):
            failures.append(f"{name}: {verdict['wrong']}; whole ones lost: {verdict['untouched_lost']}")
    return Finding(found["rounds"], figures, tuple(failures))


def report(rounds: int, seed: int) -> dict[str, Any]:
    """Both profiles, both decoders. ``wrong`` and ``untouched_lost`` are to be 0 everywhere."""
    chance = random.Random(seed)
    found: dict[str, Any] = {"campaign": "serial", "rounds": rounds, "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        missing = c_library.missing_compiler()
        program = None if missing else c_library.reader(Path(folder))
        for profile, messages in (("frame", frames(chance)), ("line", lines(chance))):
            found[profile] = _profile(profile, messages, rounds, chance, program, missing)
    found["ok"] = not any(
        found[profile][decoder].get(count)
        for profile in ("frame", "line")
        for decoder in ("python", "c")
        for count in ("wrong", "untouched_lost")
    )
    return found


def _profile(
    profile: str,
    messages: Iterator[tuple[int, bytes, Accepted]],
    rounds: int,
    chance: random.Random,
    program: Path | None,
    missing: str | None,
) -> dict[str, Any]:
    decoders: dict[str, Callable[[bytes], Iterator[tuple[int, Accepted]]]]
    decoders = {"python": python_frames if profile == "frame" else python_lines}
    if program:
        decoders["c"] = partial(c_frames if profile == "frame" else c_lines, program)
    verdicts = {name: Verdict() for name in decoders}
    kinds = dict.fromkeys(KINDS, 0)
    left = rounds
    sent = 0
    while left > 0:
        stream = damaged(messages, min(left, BATCH), chance)
        left -= sum(stream.kinds.values())
        sent += len(stream.sent)
        for kind, count in stream.kinds.items():
            kinds[kind] += count
        for name, decode in decoders.items():
            judge(stream, decode, verdicts[name])
    result: dict[str, Any] = {"sent": sent, "damaged": sum(kinds.values()), "kinds": kinds}
    result |= {name: vars(verdict) | {"seconds": round(verdict.seconds, 1)} for name, verdict in verdicts.items()}
    return result | ({"c": {"skipped": missing}} if missing else {})


def judge(stream: Stream, decode: Callable[[bytes], Iterator[tuple[int, Accepted]]], verdict: Verdict) -> None:
    """Compare what was accepted with what was sent."""
    began = time.perf_counter()
    accepted = list(decode(stream.data))
    verdict.seconds += time.perf_counter() - began
    keys = {key for key, _ in accepted}
    whole = stream.sent.keys() - stream.touched
    verdict.accepted += len(accepted)
    verdict.wrong += sum(stream.sent.get(key) != told for key, told in accepted)
    verdict.untouched += len(whole)
    verdict.untouched_lost += len(whole - keys)


def damaged(messages: Iterator[tuple[int, bytes, Accepted]], rounds: int, chance: random.Random) -> Stream:
    """Messages until ``rounds`` of them were damaged, each in one of KINDS; a burst may reach into those behind."""
    stream = Stream(kinds=dict.fromkeys(KINDS, 0))
    parts: list[bytes] = []
    reach = 0  # bytes of the next messages that a burst still overwrites
    for _ in range(rounds):
        while True:
            key, wire, told = next(messages)
            stream.sent[key] = told
            if reach:
                stream.touched.add(key)
                wire, reach = chance.randbytes(min(reach, len(wire))) + wire[reach:], max(0, reach - len(wire))
            if chance.random() < DAMAGED_SHARE:
                break
            parts.append(wire)
        stream.touched.add(key)
        bad = wire
        while bad == wire:
            kind = chance.choice(KINDS)
            bad, more = _damage(wire, kind, chance)
        stream.kinds[kind] += 1
        parts.append(bad)
        reach = max(reach, more)
        if not reach and chance.random() < GARBAGE_SHARE:
            parts.append(chance.randbytes(chance.randint(1, 300)))
    for _ in range(3):  # whatever the last burst reaches
        key, wire, told = next(messages)
        stream.sent[key] = told
        stream.touched.add(key)
        parts.append(wire)
    stream.data = b"".join(parts)
    return stream


def _damage(wire: bytes, kind: str, chance: random.Random) -> tuple[bytes, int]:
    """The message damaged, and how far a burst reaches beyond it."""
    bad = bytearray(wire)
    start = chance.randrange(len(bad))
    if kind == "bits":
        for _ in range(chance.randint(1, 8)):
            bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del bad[start : start + chance.randint(1, len(bad))]
    elif kind == "inserted":
        bad[start:start] = chance.randbytes(chance.randint(1, 8))
    elif kind == "burst":
        length = chance.randint(1, 120)
        bad[start : start + length] = chance.randbytes(min(length, len(bad) - start))
        return bytes(bad), max(0, length - (len(wire) - start))
    elif kind == "reversed":
        end = start + chance.randint(2, 24)
        bad[start:end] = bad[start:end][::-1]
    else:
        bad[start:start] = bad[start : start + chance.randint(1, 16)]
    return bytes(bad), 0


def frames(chance: random.Random) -> Iterator[tuple[int, bytes, Accepted]]:
    """Frames of every kind without end; ``t_ms`` numbers them."""
    pool = list(_payloads(chance))
    number = 0
    while True:
        kind, payload = chance.choice(pool)
        frame = Frame(PAYLOADS[kind].number, number % 2**16, 0x7E13, number, payload)
        yield number, encode_frame(frame), _told(frame)
        number += 1


def lines(chance: random.Random) -> Iterator[tuple[int, bytes, Accepted]]:
    """Lines without end; ``seq`` numbers them."""
    pool = [_record(chance) for _ in range(200)]
    number = 0
    while True:
        record = msgspec.structs.replace(chance.choice(pool), seq=number)
        wire = line_from_numerics(record)
        (line,) = LineReader().feed(wire)
        yield number, wire, _told_line(line)
        number += 1


def python_frames(data: bytes) -> Iterator[tuple[int, Accepted]]:
    """What the Python decoder accepts of frames, by their number."""
    for frame in Deframer().feed(data):
        try:
            seen_from_frame(frame)
        except ValueError:
            continue
        yield frame.t_ms, _told(frame)


def python_lines(data: bytes) -> Iterator[tuple[int, Accepted]]:
    """What the Python decoder accepts of lines."""
    for line in LineReader().feed(data):
        yield line.seq, _told_line(line)


def c_frames(program: Path, data: bytes) -> Iterator[tuple[int, Accepted]]:
    """What the C decoder accepts of frames."""
    for text in c_library.output_of(program, data, "frame").decode("ascii").splitlines():
        kind, seq, boot, t_ms, payload = text.split(" ")
        yield int(t_ms), (int(kind), int(seq), int(boot), int(t_ms), payload)


def c_lines(program: Path, data: bytes) -> Iterator[tuple[int, Accepted]]:
    """What the C decoder accepts of lines."""
    for text in c_library.output_of(program, data, "line").decode("ascii").splitlines():
        told = tuple(int(word) for word in text.split(" "))
        yield told[1], told


def _told(frame: Frame) -> Accepted:
    return (frame.type, frame.seq, frame.boot, frame.t_ms, frame.payload.hex())


def _told_line(line: Any) -> Accepted:
    rates = [
        (0xFFFF if rate.value is None else round(10 * rate.value), rate.sqi_percent, STATES.index(rate.state))
        for rate in (line.hr, line.rr)
    ]
    return (line.person, line.seq, line.t_ms, *rates[0], *rates[1])


def _payloads(chance: random.Random) -> Iterator[tuple[FrameType, bytes]]:
    factory = RecordFactory("kit-7")
    for _ in range(200):
        yield "numerics", numerics_payload(_record(chance), chance.randrange(4), chance.randrange(2_000))
        samples = [chance.gauss(0, 1) for _ in range(30)]
        wave = factory.wave("pleth", samples, fs=29.97, t0_ns=7 * 10**9, zone="main", person=0, source="rgb")
        yield from (("wave", payload) for payload in wave_payloads(wave, 0))
        event = factory.event("hr_state", "info", "ok -> lost; the head moves", zone="main", person=0)
        yield "event", event_payload(event, 0)
    yield "hello", hello_payload(factory.boot, "kit-7", ["main", "bed-2"], 1)
    yield "ping", b""


def _record(chance: random.Random) -> Numerics:
    def estimate(low: float, high: float) -> Estimate:
        state: State = chance.choice(STATES)
        value = chance.uniform(low, high) if state in VALUE_STATES else None
        return Estimate(value, chance.random(), state, () if state == "ok" else ("motion",), 10.0, 240, None)

    vitals = Vitals(estimate(40, 190), estimate(5, 40), 0, "main", chance.randrange(9), "exact", "", {}, {})
    return RecordFactory("kit-7", mono_clock=lambda: chance.randrange(2**60)).numerics(vitals)


if __name__ == "__main__":
    sys.exit(main(report, __doc__, 1_000_000))
