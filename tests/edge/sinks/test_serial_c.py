"""The Arduino library, compiled here with all warnings as errors and the sanitizers on, against the Python side."""

from __future__ import annotations

import math
import random
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import c_library
from faults import serial_damage

from edge.sinks import frame_c
from edge.sinks.factory import RecordFactory
from edge.sinks.frame_layout import CRC_BYTES, HEADER, HEADER_BYTES, PAYLOADS, TYPES, FrameType, format_of, size_of
from edge.sinks.framing import Deframer, Frame, cobs_decode, encode_frame
from edge.sinks.line import line_from_numerics
from edge.sinks.serial_frame import event_payload, hello_payload, numerics_payload, wave_payloads
from edge.vitals import STATES, VALUE_STATES, Estimate, Vitals

needs_compiler = pytest.mark.skipif(c_library.missing_compiler() is not None, reason=c_library.missing_compiler() or "")
SOURCES = c_library.LIBRARY / "src"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return c_library.reader(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("boards")


def test_the_committed_c_files_are_made_from_the_tables():
    """Make them anew with: python -m edge.sinks.frame_c."""
    assert (SOURCES / "mmrphys_payloads.h").read_text(encoding="utf-8") == frame_c.header()
    assert (SOURCES / "mmrphys_payloads.c").read_text(encoding="utf-8") == frame_c.source()


def test_the_library_allocates_nothing_and_has_what_arduino_wants():
    text = "".join(path.read_text(encoding="utf-8") for path in [*SOURCES.glob("*.[ch]")])
    assert not re.search(r"\b(malloc|calloc|realloc|free|new|printf|strcpy|strcat|gets)\s*\(", text)
    assert set(re.findall(r"#include <(.*)>", text)) == {"stdbool.h", "stddef.h", "stdint.h", "string.h"}
    properties = (c_library.LIBRARY / "library.properties").read_text(encoding="utf-8")
    keys = {line.partition("=")[0] for line in properties.splitlines()}
    wanted = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert wanted <= keys


def payloads() -> dict[str, tuple[FrameType, bytes]]:
    factory = RecordFactory("kit-7", "9f2c61d0a4b87e13", mono_clock=lambda: 7_000_000_000)
    hr = Estimate(71.83, 0.82, "hold", ("motion", "dark"), 10.0, 240, 0.9)
    rr = Estimate(None, 0.21, "lost", ("cues_disagree",), 30.0, 400, None)
    numerics = factory.numerics(Vitals(hr, rr, 0, "bed-2", 300, "exact", "", {}, {}))
    samples = [0.25, math.nan, -1.0]
    wave = factory.wave("resp", samples, fs=29.97, t0_ns=5 * 10**9, zone="bed-2", person=300, source="thermal")
    event = factory.event("runtime_fault", "warning", "gone", zone="bed-2", person=None)
    return {
        "numerics 1 300 718 9 100 1240 82 7 5 65535 65535 300 1400 21 6 18": (
            "numerics", numerics_payload(numerics, 1, 1_000),
        ),
        "wave 1 300 1 1 5000 0 29.9699993 3.05185094e-05 8192 -32768 -32767": ("wave", next(wave_payloads(wave, 1))),
        "event 1 65535 runtime_fault warning gone": ("event", event_payload(event, 1)),
        "hello 9f2c61d0a4b87e13 2 1 kit-7": ("hello", hello_payload(factory.boot, "kit-7", ["bed-1", "bed-2"], 1)),
    }  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("told", payloads())
def test_c_reads_the_fields_that_python_wrote(reader, told):
    kind, payload = payloads()[told]
    wire = encode_frame(Frame(PAYLOADS[kind].number, 1, 2, 3, payload))
    assert c_library.output_of(reader, wire, "fields").decode("ascii").strip("\n") == told


@needs_compiler
def test_the_generated_offsets_are_those_of_struct(reader):
    """Every byte of a payload has another value, so a field read at another place would show."""
    fields = PAYLOADS["numerics"].fields
    values = list(range(1, len(fields) + 1))
    values[[field.name for field in fields].index("hr_state")] = STATES.index("low_quality")
    values[[field.name for field in fields].index("rr_state")] = STATES.index("hold")
    payload = struct.pack(format_of(fields), *values)
    assert len(payload) == size_of(fields)
    out = c_library.output_of(reader, encode_frame(Frame(2, 1, 2, 3, payload)), "fields").decode("ascii")
    assert out.split() == ["numerics", *map(str, values)]


@needs_compiler
def test_c_and_python_encode_alike(reader):
    """What C decodes and encodes again are the bytes that Python sent."""
    sent = b""
    for kind, payload in payloads().values():
        sent += encode_frame(Frame(PAYLOADS[kind].number, 0x100, 0, 0xFF00FF, payload))
    for length in (0, 1, 100, 235):
        sent += encode_frame(Frame(PAYLOADS["event"].number, 0, 0, 0, b"\0\0\0\0\0" + b"\0" * length))
        sent += encode_frame(Frame(PAYLOADS["event"].number, 9, 9, 9, b"\1\1\1\1\1" + b"x" * length))
    assert c_library.output_of(reader, sent, "echo") == sent


@needs_compiler
def test_both_judge_versions_types_and_impossible_rates_alike(reader):
    frames = [
        Frame(kind, 1, 2, 3, b"\0" * length, version)
        for version in (0x0F, 0x10, 0x11, 0xFF)
        for kind in (0, *TYPES, 7, 255)
        for length in (0, 3, 5, 19, 25)
    ]
    numerics = size_of(PAYLOADS["numerics"].fields)
    frames += [Frame(2, 1, 2, 3, bytes([value]) * numerics) for value in range(256)]
    data = b"".join(map(encode_frame, frames))
    accepted = [(frame.t_ms, told) for frame in frames for told in serial_damage.python_frames(encode_frame(frame))]
    assert len(accepted) > 3
    assert list(serial_damage.c_frames(reader, data)) == [told for _, told in accepted]


@needs_compiler
def test_lines_are_read_alike(reader):
    factory = RecordFactory("kit-7", mono_clock=lambda: (2**32 - 1) * 10**6)
    data = b""
    for number, state in enumerate(STATES):
        value = 198.0 if state in VALUE_STATES else None
        rate = Estimate(value, 1.0, state, () if state == "ok" else ("motion",), 10.0, 0, None)
        data += line_from_numerics(factory.numerics(Vitals(rate, rate, 0, "main", number, "exact", "", {}, {})))
    heard = list(serial_damage.python_lines(data))
    assert len(heard) == len(STATES)
    assert list(serial_damage.c_lines(reader, data)) == heard


@needs_compiler
def test_a_line_with_any_byte_changed_is_refused_by_both(reader):
    """Those of the checks themselves too: each of the two checks decides alone."""
    rate = Estimate(71.8, 0.8, "ok", (), 10.0, 240, None)
    line = line_from_numerics(RecordFactory("kit-7").numerics(Vitals(rate, rate, 0, "main", 0, "exact", "", {}, {})))
    assert len(list(serial_damage.c_lines(reader, line))) == 1
    changed = [
        line[:place] + bytes([byte]) + line[place + 1 :]
        for place in range(len(line))
        for byte in (*b"0123456789ABCDEF-,.*$ok\r\n", line[place] ^ 1, line[place] ^ 32, line[place] ^ 128, 0)
        if byte != line[place]
    ]
    assert list(serial_damage.c_lines(reader, b"\n".join(changed))) == []
    assert list(serial_damage.python_lines(b"\n".join(changed))) == []


def test_a_short_campaign_of_damage_accepts_nothing_wrong_and_loses_nothing_whole():
    """The long one: python tests/faults/serial_damage.py. Without a compiler it says that C was left out."""
    report = serial_damage.report(rounds=2_500, seed=11)
    decoders = ("python",) if c_library.missing_compiler() else ("python", "c")
    for profile in ("frame", "line"):
        assert report[profile]["damaged"] == 2_500
        for decoder in decoders:
            verdict = report[profile][decoder]
            assert (verdict["wrong"], verdict["untouched_lost"]) == (0, 0)
            assert verdict["accepted"] >= verdict["untouched"] > 500
    assert report["ok"]


def test_the_campaign_sees_a_decoder_that_checks_no_crc():
    def careless(data: bytes) -> Iterator[tuple[int, serial_damage.Accepted]]:
        for code in data.split(b"\0"):
            try:
                body = cobs_decode(code)
                head = struct.unpack_from(format_of(HEADER), body)
            except (ValueError, struct.error):
                continue
            yield head[4], (*head[1:], body[HEADER_BYTES:-CRC_BYTES].hex())

    chance = random.Random(3)
    verdict = serial_damage.Verdict()
    serial_damage.judge(serial_damage.damaged(serial_damage.frames(chance), 500, chance), careless, verdict)
    assert verdict.wrong > 30
    assert verdict.untouched_lost == 0


def board(program: Path, steps: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Runs a sketch: at each time what arrives; gives pin 7 and what it sent."""
    script = "".join(f"{at} {data.hex() or '-'}\n" for at, data in steps)
    out = c_library.output_of(program, script.encode("ascii")).decode("ascii")
    rows = [row.split(" ") for row in out.splitlines()]
    return [(int(pin), b"" if sent == "-" else bytes.fromhex(sent)) for pin, sent in rows]


def frame(state: str, age_ms: int = 200, zone: int = 0, boot: int = 1) -> bytes:
    value = 71.8 if state in VALUE_STATES else None
    why = () if state == "ok" else ("motion",)
    rate = Estimate(value, 0.8, state, why, 10.0, age_ms, None)  # type: ignore[arg-type]  # a name of STATES
    record = RecordFactory("kit-7").numerics(Vitals(rate, rate, 0, "main", 0, "exact", "", {}, {}))
    return encode_frame(Frame(PAYLOADS["numerics"].number, 1, boot, 5, numerics_payload(record, zone, 0)))


@needs_compiler
@pytest.mark.parametrize("start_ms", [0, 2**32 - 12_000], ids=["at the start", "while millis() wraps"])
def test_the_relay_is_closed_only_while_ok_numerics_keep_coming(boards, start_ms):
    relay = c_library.sketch(boards, "Relay")
    damaged = bytearray(frame("ok"))
    damaged[9] ^= 4
    steps = [
        (0, b"", 0),
        (500, frame("low_quality"), 0),
        (1_000, bytes(damaged), 0),
        (1_500, frame("ok", zone=1), 0),
        (2_000, frame("ok"), 1),
        (11_800, b"", 1),  # 10.0 s after its newest frame
        (11_801, b"", 0),
        (20_000, frame("ok", age_ms=9_000), 1),
        (20_999, frame("hold"), 1),
        (21_001, b"", 0),
        (21_500, frame("ok", age_ms=12_000), 0),
        (22_000, frame("ok"), 1),
        (22_500, frame("lost") + frame("lost"), 1),
        (31_801, frame("lost"), 0),
    ]
    seen = board(relay, [((start_ms + at) % 2**32, data) for at, data, _ in steps])
    assert [pin for pin, _ in seen] == [pin for _, _, pin in steps]
    months = [*range(32_000, 2**31, 10**8), 2**32 + 31_700]  # a clock that comes round again closes nothing
    later = [((start_ms + at) % 2**32, b"") for at in months]
    seen = board(relay, [((start_ms + at) % 2**32, data) for at, data, _ in steps] + later)
    assert [pin for pin, _ in seen[len(steps) :]] == [0] * len(later)


@needs_compiler
def test_the_relay_acknowledges_events_and_pings(boards):
    relay = c_library.sketch(boards, "Relay")
    event = encode_frame(Frame(PAYLOADS["event"].number, 412, 7, 1, b"\xff\xff\xff\1\1text"))
    ping = encode_frame(Frame(PAYLOADS["ping"].number, 77, 7, 1, b""))
    (_, sent), (_, nothing) = board(relay, [(10, event + ping), (20, frame("ok"))])
    assert [(TYPES[ack.type], ack.payload) for ack in Deframer().feed(sent)] == [
        ("ack", bytes([4, 412 % 256, 412 // 256])),
        ("ack", bytes([6, 77, 0])),
    ]
    assert nothing == b""


@needs_compiler
def test_the_display_marks_what_is_not_sure_and_never_shows_what_is_old(boards):
    def line(state: str) -> bytes:
        value = 71.8 if state in VALUE_STATES else None
        rate = Estimate(value, 0.8, state, () if state == "ok" else ("motion",), 10.0, 0, None)  # type: ignore[arg-type]
        none = Estimate(None, 0.0, "lost", ("motion",), 30.0, 0, None)
        return line_from_numerics(RecordFactory("kit").numerics(Vitals(rate, none, 0, "main", 0, "exact", "", {}, {})))

    display = c_library.sketch(boards, "Display")
    steps = [
        (1_000, b"", "---"),
        (2_000, line("ok"), "72"),
        (3_000, line("low_quality"), "72?"),
        (4_000, line("hold"), "72?"),
        *((at, line("hold"), "72?") for at in range(5_000, 10_000, 1_000)),
        (10_000, line("hold"), "---"),  # held since 3 s, when it may have been 4 s old: a line has no age
        (11_000, line("ok"), "72"),
        (14_000, b"", "72"),
        (15_000, b"", "72?"),  # silent
        (17_000, b"", "72?"),
        (18_000, b"", "---"),
        (19_100, line("lost"), "---"),
        (20_200, b"garbage" + line("ok")[:-5] + line("ok"), "72"),
    ]
    seen = [sent.decode("ascii") for _, sent in board(display, [(at, data) for at, data, _ in steps])]
    assert seen == [f"HR {text}  RR ---\n" for _, _, text in steps]


@needs_compiler
def test_the_esphome_example_publishes_nothing_old_and_acknowledges(boards):
    ping = encode_frame(Frame(PAYLOADS["ping"].number, 77, 7, 1, b""))
    steps = [
        (0, b"", "nan silent nan silent 0 -"),
        (1_000, frame("ok"), "71.8 ok 71.8 ok 1 -"),
        (2_000, frame("hold", age_ms=9_000), "71.8 hold 71.8 hold 1 -"),
        (3_001, b"", "nan hold nan hold 1 -"),
        (4_000, frame("lost"), "nan lost nan lost 1 -"),
        (5_000, frame("ok", zone=1), "nan lost nan lost 1 -"),
        (6_000, frame("ok", age_ms=0), "71.8 ok 71.8 ok 1 -"),
        (9_001, b"", "71.8 silent 71.8 silent 0 -"),
        (16_001, b"", "nan silent nan silent 0 -"),
    ]
    script = "".join(f"{at} {data.hex() or '-'}\n" for at, data, _ in [*steps, (17_000, ping, "")])
    *rows, last = c_library.output_of(c_library.esphome_reader(boards), script.encode("ascii")).decode().splitlines()
    assert rows == [row for _, _, row in steps]
    (ack,) = Deframer().feed(bytes.fromhex(last.split()[-1]))
    assert (TYPES[ack.type], ack.payload) == ("ack", bytes([6, 77, 0]))


def test_the_esphome_example_includes_what_there_is():
    folder = c_library.LIBRARY.parent / "esphome"
    text = (folder / "mmrphys.yaml").read_text(encoding="utf-8")
    named = re.findall(r"^    - (\S+/\S+|\S+\.h)$", text, flags=re.MULTILINE)
    assert len(named) == 2
    assert all((folder / name).exists() for name in named)
    header = (folder / "mmrphys_reader.h").read_text(encoding="utf-8")
    called = set(re.findall(r"mmrphys_reader\(\)\.(\w+)\(", text))
    assert called == {"poll", "hr", "rr", "hr_state", "rr_state", "heard"}
    assert all(re.search(rf"\b{name}\(", header) for name in called)
