"""The link on a port in memory, with time that is told: hellos, acks, stalls, what is dropped, and nothing stale."""

from __future__ import annotations

import dataclasses
import random
from itertools import pairwise
from typing import Any

import pytest
from fakes.serial_ports import Cable, Clock, S
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sinks.factory import RecordFactory
from edge.sinks.frame_layout import PAYLOADS
from edge.sinks.framing import Frame, encode_frame
from edge.sinks.records import Numerics
from edge.sinks.serial_decode import Heard, SerialDecoder
from edge.sinks.serial_frame import AckSeen, EventSeen, HelloSeen, NumericsSeen, WaveSeen, pack
from edge.sinks.serial_link import SerialLink
from edge.sinks.serial_profiles import profile_by_name
from edge.sinks.serial_queue import MAX_AGE_MS
from edge.vitals import Estimate, Vitals


class Kit:
    """A link with its clock, its cable and records that carry that clock."""

    def __init__(self, profile: str = "frame") -> None:
        self.clock = Clock(1_000 * S)
        self.cable = Cable(self.clock)
        self.factory = RecordFactory("kit-7", "9f2c61d0a4b87e13", mono_clock=self.clock)
        self.link = SerialLink("/dev/ttyKIT", self.cable.open_port, profile_by_name(profile, "kit-7"))
        self._decoder = SerialDecoder()
        self._read = 0

    def run(self, seconds: float, every_s: float = 0.05) -> None:
        for _ in range(round(seconds / every_s)):
            self.link.step(self.clock())
            self.clock.pass_s(every_s)

    def heard(self) -> list[Heard]:
        """What came since the last look."""
        new = self.cable.received[self._read :]
        self._read = len(self.cable.received)
        return [heard for _, data in new for heard in self._decoder.feed(data)]

    def said(self, kind: type[Any]) -> list[Any]:
        return [heard.what for heard in self.heard() if isinstance(heard.what, kind)]

    def meta(self, *zones: str) -> None:
        common: dict[str, Any] = dict.fromkeys(
            ("software", "bundle", "signature", "graph", "graph_why", "runtime"), "x"
        )
        self.link.put(self.factory.meta(**common, mode="exact", zones=zones, cameras={}))

    def hears(self, kind: Any, payload: bytes, seq: int = 0) -> None:
        self.cable.to_kit += encode_frame(Frame(PAYLOADS[kind].number, seq, 0, 0, payload))


@pytest.fixture
def kit() -> Kit:
    return Kit()


def test_hello_is_repeated_for_three_seconds_after_each_opening_and_then_now_and_then(kit):
    kit.meta("bed-1", "bed-2")
    kit.run(13.0)
    hellos = [heard for heard in kit.heard() if isinstance(heard.what, HelloSeen)]
    first = [(h.t_ms - 1_000_000) / 1_000 for h in hellos if h.what.zone == 0]
    assert first == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert {(h.what.zone, h.what.zones, h.what.zone_name) for h in hellos} == {(0, 2, "bed-1"), (1, 2, "bed-2")}
    assert {(h.what.device, h.what.boot, h.boot) for h in hellos} == {("kit-7", "9f2c61d0a4b87e13", 0x7E13)}
    kit.run(1.0)
    assert len(kit.said(HelloSeen)) == 2
    kit.cable.plugged = False
    kit.run(1.0)
    kit.cable.plugged = True
    kit.run(4.0)
    assert len(kit.said(HelloSeen)) >= 12


def test_people_in_several_zones_are_told_apart(kit, vitals):
    kit.meta("bed-1", "bed-2")
    for zone, person in (("bed-1", 0), ("bed-2", 1), ("bed-2", 5)):
        kit.link.put(kit.factory.numerics(dataclasses.replace(vitals, zone=zone, person=person)))
    kit.run(0.1)
    heard = [heard for heard in kit.heard() if isinstance(heard.what, NumericsSeen)]
    assert [(h.zone, h.what.zone, h.what.person) for h in heard] == [("bed-1", 0, 0), ("bed-2", 1, 1), ("bed-2", 1, 5)]


def test_a_zone_that_no_meta_named_is_told_with_its_first_record(kit, vitals):
    kit.run(0.2)
    kit.link.put(kit.factory.numerics(dataclasses.replace(vitals, zone="late")))
    kit.run(0.2)
    assert ("late", 0) in {(hello.zone_name, hello.zone) for hello in kit.said(HelloSeen)}


def test_every_kind_of_record_arrives_and_a_long_wave_in_parts(kit, vitals):
    sent = kit.factory.numerics(vitals)
    kit.link.put(sent)
    kit.link.put(kit.factory.wave("resp", [0.1] * 250, fs=250.0, t0_ns=0, zone="main", person=0, source="thermal"))
    kit.link.put(kit.factory.event("hr_state", "notice", "ok -> lost", zone="main", person=0))
    kit.run(0.1)
    heard = kit.heard()
    assert [h.what.text for h in heard if isinstance(h.what, EventSeen)] == ["ok -> lost"]
    assert [h.what.hr.value for h in heard if isinstance(h.what, NumericsSeen)] == [sent.hr.value]
    waves = [h.what for h in heard if isinstance(h.what, WaveSeen)]
    assert [(wave.first, len(wave.samples)) for wave in waves] == [(0, 110), (110, 110), (220, 30)]
    assert kit.link.dropped == 0


def test_waves_can_be_left_out(vitals):
    kit = Kit()
    kit.link = SerialLink("/dev/ttyKIT", kit.cable.open_port, profile_by_name("frame", "kit-7", waves=False))
    kit.link.put(kit.factory.wave("pleth", [0.1], fs=30.0, t0_ns=0, zone="main", person=0, source="rgb"))
    kit.link.put(kit.factory.numerics(vitals))
    kit.run(0.1)
    assert {type(heard.what) for heard in kit.heard()} == {HelloSeen, NumericsSeen}
    assert kit.link.dropped == 0


def test_events_are_sent_once_when_nobody_acknowledges(kit):
    kit.run(0.1)
    kit.link.put(kit.factory.event("hr_state", "info", "once"))
    kit.run(2.0)
    wires = kit.cable.bytes().count(b"once")
    assert (wires, kit.link.dropped) == (1, 0)


def test_events_come_three_times_again_after_200_ms_each_and_are_then_given_up(kit):
    kit.run(0.1)
    kit.hears("ping", b"")
    kit.run(0.1)
    kit.link.put(kit.factory.event("hr_state", "info", "again"))
    began = kit.clock()
    kit.run(2.0)
    times = [round((at - began) / S, 2) for at, data in kit.cable.received if b"again" in data]
    assert times == [0.0, 0.2, 0.4, 0.6]
    assert kit.link.dropped == 1
    assert len(kit.said(EventSeen)) == 1  # the decoder knows a repetition


def test_an_acknowledged_event_is_not_sent_again(kit):
    kit.run(0.1)
    kit.hears("ping", b"", seq=77)
    kit.run(0.1)
    assert AckSeen(PAYLOADS["ping"].number, 77) in kit.said(AckSeen)
    event = kit.factory.event("hr_state", "info", "taken")
    kit.link.put(event)
    kit.run(0.1)
    kit.hears("ack", pack("ack", PAYLOADS["event"].number, event.seq))
    kit.run(2.0)
    assert kit.cable.bytes().count(b"taken") == 1
    assert kit.link.dropped == 0


def test_an_event_that_was_not_acknowledged_comes_again_when_the_port_is_back(kit):
    kit.run(0.1)
    kit.hears("ping", b"")
    kit.run(0.1)
    kit.link.put(kit.factory.event("hr_state", "info", "kept"))
    kit.run(0.05)
    kit.cable.plugged = False
    kit.run(5.0)
    before = kit.cable.bytes().count(b"kept")
    kit.cable.plugged = True
    kit.run(3.0)
    assert (before, kit.cable.bytes().count(b"kept")) == (1, 4)


def test_a_peer_that_says_hello_gets_ours(kit):
    kit.meta("main")
    kit.run(5.0)
    kit.heard()
    kit.hears("hello", pack("hello", 1, 0, 0, tail=b"display\0"))
    kit.run(0.2)
    assert len(kit.said(HelloSeen)) == 1


def test_damage_from_the_reader_is_nothing(kit):
    kit.meta("main")
    kit.cable.to_kit = random.Random(1).randbytes(5_000)
    kit.run(1.0)
    assert kit.link.connected
    assert kit.heard()


def test_events_wait_for_an_absent_port_and_numerics_do_not(kit, vitals):
    kit.cable.plugged = False
    for second in range(30):
        kit.link.put(kit.factory.numerics(vitals))
        kit.link.put(kit.factory.event("hr_state", "info", f"event {second}"))
        kit.run(1.0)
    kit.cable.plugged = True
    last = kit.factory.numerics(vitals)
    kit.clock.pass_s(1.5)
    kit.link.put(last)
    kit.run(3.0)
    heard = kit.heard()
    assert [h.what.text for h in heard if isinstance(h.what, EventSeen)] == [f"event {n}" for n in range(30)]
    assert [h.seq for h in heard if isinstance(h.what, NumericsSeen)] == [last.seq]
    assert kit.link.dropped == 30


def test_more_events_than_there_is_room_for_cost_the_oldest_and_are_counted(kit):
    kit.cable.plugged = False
    for number in range(100):
        kit.link.put(kit.factory.event("hr_state", "info", f"event {number}."))
    assert kit.link.dropped == kit.link.lost == 36
    kit.cable.plugged = True
    kit.run(1.0)
    assert [event.text for event in kit.said(EventSeen)] == [f"event {n}." for n in range(36, 100)]


def test_an_event_that_a_stalled_reader_did_not_take_comes_when_it_reads_again(kit):
    kit.run(0.1)
    kit.cable.stalled = True
    kit.link.put(kit.factory.event("hr_state", "info", "kept"))
    kit.run(3.0)
    assert kit.cable.discarded > 0
    kit.cable.stalled = False
    kit.run(1.0)
    assert [event.text for event in kit.said(EventSeen)] == ["kept"]
    assert kit.link.dropped == 0


def test_tries_come_half_a_second_to_two_seconds_apart(kit, monkeypatch):
    tries: list[float] = []

    def absent(path: str) -> Any:
        tries.append((kit.clock() - 1_000 * S) / S)
        raise FileNotFoundError(2, "No such file or directory", path)

    link = SerialLink("/dev/none", absent, profile_by_name("line", "kit"))
    for _ in range(200):
        link.step(kit.clock())
        kit.clock.pass_s(0.05)
    waits = [round(later - earlier, 1) for earlier, later in pairwise(tries)]
    assert waits == [0.5, 1.0, 2.0, 2.0, 2.0, 2.0]


@pytest.mark.parametrize("profile", ["line", "csv", "frame"])
@pytest.mark.parametrize("room_bytes", [40, 100, 4_096])
def test_a_reader_that_stalls_costs_only_what_it_did_not_take_and_gets_only_new_records(profile, room_bytes, vitals):
    kit = Kit(profile)
    kit.cable.room_bytes = room_bytes
    put: list[Numerics] = []

    def seconds(count: int) -> None:
        for _ in range(count):
            put.append(kit.factory.numerics(vitals))
            kit.link.put(put[-1])
            kit.run(1.0)

    seconds(3)
    kit.cable.stalled = True
    seconds(20)
    assert kit.link.connected
    kit.cable.stalled = False
    began_ms = kit.clock() // 10**6
    seconds(3)
    told = [heard for heard in kit.heard() if not isinstance(heard.what, HelloSeen)]
    assert [heard.seq for heard in told[:3]] == [record.seq for record in put[:3]]
    assert [heard.seq for heard in told[-3:]] == [record.seq for record in put[-3:]]
    stalled = told[3:-3]
    assert len(stalled) <= 1
    assert all(heard.t_ms >= began_ms - 1_000 for heard in stalled)  # not yet given up when the reader was back
    assert kit.link.dropped == len(put) - len(told)


faults = st.lists(
    st.tuples(
        st.sampled_from(["run", "stall", "unplug", "garbage", "late", "burst"]),
        st.floats(0.05, 15.0),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(faults, st.sampled_from(["line", "csv", "frame"]), st.randoms(use_true_random=False))
def test_nothing_older_than_ten_seconds_is_sent_as_a_value(schedule, profile, chance):
    """Over any schedule of stalls, unplugging, garbage, records that come late and many at once."""
    kit = Kit(profile)
    born: dict[int, tuple[int, int]] = {}  # seq: when it was made, and the newest frame behind its value taken

    def record(age_ms: int, made_s_ago: float = 0.0) -> Numerics:
        hold = age_ms > 2_000
        hr = Estimate(71.8, 0.8, "hold" if hold else "ok", ("motion",) if hold else (), 10.0, age_ms, None)
        rr = Estimate(None, 0.2, "lost", ("motion",), 30.0, age_ms, None)
        factory = RecordFactory("kit-7", kit.factory.boot, mono_clock=lambda: kit.clock() - round(made_s_ago * S))
        numerics = factory.numerics(Vitals(hr, rr, 0, "main", chance.randrange(2), "exact", "", {}, {}))
        seq = len(born)
        born[seq] = (numerics.mono_ns, numerics.mono_ns - age_ms * 10**6)
        return type(numerics)(**{name: getattr(numerics, name) for name in numerics.__struct_fields__} | {"seq": seq})

    for fault, seconds in schedule:
        kit.cable.stalled = fault == "stall"
        kit.cable.plugged = fault != "unplug"
        if fault == "garbage":
            kit.cable.to_kit += chance.randbytes(200)
        for _ in range(max(1, round(seconds))):
            late_s = seconds if fault == "late" else 0.0
            for _ in range(30 if fault == "burst" else 1):
                kit.link.put(record(chance.randrange(10_001), late_s))
            kit.run(1.0, every_s=0.1)
    decoder = SerialDecoder()
    values = 0
    for now_ns, data in kit.cable.received:
        for heard in decoder.feed(data):
            hr = getattr(heard.what, "hr", None)
            if hr is not None and hr.value is not None:
                assert now_ns - born[heard.seq][1] <= 10 * S
                values += 1
    if all(fault == "run" for fault, _ in schedule):  # then all that may be sent was
        assert values == sum(made_ns - frame_ns <= MAX_AGE_MS * 10**6 for made_ns, frame_ns in born.values())
    kit.link.close()
    assert kit.link.dropped + values == len(born)


def test_frames_carry_the_age_at_sending(kit, vitals):
    kit.run(0.1)
    kit.link.put(kit.factory.numerics(vitals))
    kit.clock.pass_s(1.5)
    kit.run(0.1)
    (numerics,) = kit.said(NumericsSeen)
    assert numerics.hr.age_ms == 240 + 1_500
