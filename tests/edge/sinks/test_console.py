from __future__ import annotations

import dataclasses
import io
import re

import pytest
from fakes.broker import until
from fakes.serial_ports import Clock
from rich.console import Console

from edge.errors import UsageError
from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.console import ConsoleSink
from edge.sinks.console_text import line_from_record, reasons_text
from edge.sinks.console_view import Person, Screen, draw
from edge.sinks.factory import RecordFactory
from edge.sinks.records import NOTICE
from edge.sinks.tally import Tally, truth_over
from edge.vitals import REASONS, Estimate, Truth, Vitals

S = 10**9


def known(pts_ns: int) -> Truth | None:
    return Truth(72.0, 15.0) if pts_ns >= 0 else None


def screen_text(screen: Screen, width: int, now_ns: int = 0) -> str:
    console = Console(file=io.StringIO(), record=True, width=width, force_terminal=True)
    console.print(draw(screen, now_ns, width))
    return console.export_text()


class Lines:
    """The sink without a terminal, its clock in our hands; ``tick`` is what its thread would call."""

    def __init__(self, vitals: Vitals, *, live: bool = True) -> None:
        self.clock = Clock(100 * S)
        self._out = io.StringIO()
        self._vitals = vitals
        self._factory = RecordFactory("kit-7", mono_clock=self.clock)
        self.sink = ConsoleSink(SinkContext("kit-7", live=live), Console(file=self._out, width=200), self.clock)

    def look(self, printed_after_s: float = 0.0) -> None:
        record = self._factory.numerics(self._vitals)
        self.clock.pass_s(printed_after_s)
        self.sink.write(record, 7 * S)

    def said(self) -> list[str]:
        return self._out.getvalue().splitlines()


@pytest.fixture
def still_factory() -> RecordFactory:
    return RecordFactory("kit-7", mono_clock=lambda: 0)


@pytest.fixture
def full_screen(still_factory: RecordFactory, vitals: Vitals) -> Screen:
    screen = Screen("kit-7").with_person(Person(still_factory.numerics(vitals), Truth(72.0, 15.0)))
    return screen.with_event(still_factory.event("hr_state", "info", "starting -> ok"), 4 * S)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_says_everything_and_fits(full_screen, width):
    text = screen_text(full_screen, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    hr, rr = (next(line for line in text.splitlines() if f" {name} " in line) for name in ("HR", "RR"))
    for word in ("main/0", "71.8", "ok", "0.82", "0.2 s", "72.0"):
        assert word in hr
    assert "---" in rr
    assert "lost" in rr
    flat = " ".join(text.split())
    assert f"RR: {REASONS['motion'].sentence}: {REASONS['motion'].fix}" in flat
    for words in (
        "rgb 29.97 fps, 0 lost",
        "thermal 8.70 fps, 2 lost",
        "skew 21 ms",
        "hr_state: starting -> ok",
        NOTICE,
    ):
        assert words in flat
    assert ("-0.2" in hr) == (width >= 80)


def test_a_reason_has_its_number_where_the_record_holds_it(factory, vitals):
    slow = Estimate(None, 0.0, "lost", ("low_fps", "dark"), 10.0, 240, None)
    record = factory.numerics(dataclasses.replace(vitals, hr=slow, fps={"rgb": 8.04}))
    told = reasons_text(record.hr, record)
    assert told[0].startswith("the camera gives 8.0 frames a second, want >= 15: raise")
    assert told[1].startswith("the face is too dark: ")


def test_a_plain_line_names_what_breath_was_read_from(factory, vitals):
    rr = Estimate(14.2, 0.7, "ok", (), 30.0, 240, 0.4, sources=("thermal",), source_sqi={"thermal": 0.83, "rgb": 0.4})
    line = line_from_record(factory.numerics(dataclasses.replace(vitals, rr=rr)), 7 * S)
    assert "RR  14.2 /min ok 0.70 from thermal 0.83 (rgb 0.40)" in line
    alone = dataclasses.replace(rr, sources=("rgb", "thermal"), source_sqi={"rgb": 0.4})
    assert "from rgb 0.40, thermal " in line_from_record(factory.numerics(dataclasses.replace(vitals, rr=alone)), 7 * S)


def test_a_value_is_not_shown_once_it_is_older_than_ten_seconds(full_screen):
    assert "71.8" in screen_text(full_screen, 80, now_ns=9 * S)
    late = screen_text(full_screen, 80, now_ns=10 * S)
    assert "71.8" not in late
    assert "stale" in late


def test_a_value_without_news_for_three_seconds_is_called_stale(full_screen):
    assert "stale" not in screen_text(full_screen, 80, now_ns=3 * S)
    grey = screen_text(full_screen, 80, now_ns=4 * S)
    assert "71.8" in grey
    assert "stale" in grey


def test_the_table_on_a_terminal_ages_by_itself_when_nothing_comes(vitals):
    clock = Clock()
    out = io.StringIO()
    sink = ConsoleSink(SinkContext("kit-7"), Console(file=out, width=100, force_terminal=True), clock)
    sink.open()
    sink.write(RecordFactory("kit-7", mono_clock=clock).numerics(vitals), 7 * S)
    until(lambda: "71.8" in out.getvalue(), "the value")
    clock.pass_s(10.0)
    until(lambda: "stale" in out.getvalue() and "71.8" not in out.getvalue()[out.getvalue().rindex("stale") - 60 :], "")
    sink.close()


def test_a_table_that_cannot_be_drawn_shows_no_value_and_is_told_once(vitals, monkeypatch, caplog):
    def broken(*_words: object) -> None:
        raise RuntimeError("a bug")

    out = io.StringIO()
    sink = ConsoleSink(SinkContext("kit-7"), Console(file=out, width=100, force_terminal=True))
    sink.open()
    sink.write(RecordFactory("kit-7").numerics(vitals), 7 * S)
    until(lambda: "71.8" in out.getvalue(), "the value")
    monkeypatch.setattr("edge.sinks.console.draw", broken)
    until(lambda: "cannot be drawn" in out.getvalue(), "the words in its place")
    sink.close()
    assert [one.message for one in caplog.records] == ["console: the table cannot be drawn"]


def test_who_left_is_gone_from_the_table_after_ten_seconds(still_factory, vitals):
    def person(track: int, second: int) -> Person:
        return Person(still_factory.numerics(dataclasses.replace(vitals, person=track, pts_ns=second * S)), None)

    screen = Screen("kit-7").with_person(person(1, 0)).with_person(person(0, 1))
    assert [p.record.person for p in screen.persons] == [0, 1]
    assert "truth" not in screen_text(screen, 80)
    assert [p.record.person for p in screen.with_person(person(0, 11)).persons] == [0]


@pytest.mark.parametrize("width", [60, 100])
def test_several_zones_and_people_have_rows_of_their_own(still_factory, vitals, width):
    screen = Screen("kit-7")
    for zone, person, rate in (("bed-2", 3, 64.2), ("bed-1", 0, 71.8), ("bed-1", 4, 90.1)):
        hr = dataclasses.replace(vitals.hr, value=rate)
        record = still_factory.numerics(dataclasses.replace(vitals, zone=zone, person=person, hr=hr))
        screen = screen.with_person(Person(record, None))
    screen = screen.with_event(still_factory.event("hr_state", "info", "a", zone="bed-1", person=4), 4 * S)
    lines = screen_text(screen, width).splitlines()
    assert any("bed-1/4 hr_state: a" in line for line in lines)
    rows = [line.split() for line in lines if " HR " in line and "/" in line.split()[0]]
    assert [(row[0], row[2]) for row in rows] == [("bed-1/0", "71.8"), ("bed-1/4", "90.1"), ("bed-2/3", "64.2")]
    assert all(len(line) <= width for line in lines)
    assert any(line.startswith("bed-2/3 RR: ") for line in lines)


def test_without_a_terminal_each_record_is_one_line_and_the_last_is_the_summary(factory, vitals):
    out = io.StringIO()
    sink = ConsoleSink(SinkContext("kit-7", truth=known), Console(file=out, width=80))
    sink.open()
    sink.write(factory.status("online", "started"), 0)
    sink.write(factory.numerics(vitals), 7 * S)
    sink.write(factory.wave("pleth", [0.1], fs=30.0, t0_ns=0, zone="main", person=0, source="rgb"), 7 * S)
    sink.write(factory.event("rr_state", "notice", "ok -> lost", zone="main", person=0), 7 * S)
    assert sink.close() == 0
    assert sink.close() == 0
    rates = "main/0  HR  71.8 /min ok 0.82 [truth 72.0]  RR   --- /min lost 0.21 (motion) [truth 15.0]"
    hr = "HR: ok 100 % of the time, mean error 0.2 /min; any value 100 %, mean error 0.2 /min"
    assert [line.strip() for line in out.getvalue().splitlines()] == [
        "0.0 s kit-7 online: started",
        f"7.0 s {rates}  rgb 29.97 fps, 0 lost; thermal 8.70 fps, 2 lost; skew 21 ms",
        "7.0 s main/0 notice rr_state: ok -> lost",
        f"{hr} | RR: ok 0 % of the time; any value 0 % | 4 records | {NOTICE}",
    ]


@pytest.fixture
def lines(vitals) -> Lines:
    return Lines(vitals)


def test_a_line_that_is_printed_late_bears_its_age_and_one_older_than_ten_seconds_no_value(lines):
    lines.look()
    lines.look(printed_after_s=5.0)
    lines.look(printed_after_s=9.8)
    fresh, late, dead = lines.said()
    assert "HR  71.8 /min ok 0.82  RR" in fresh
    assert "HR  71.8 /min stale 0.82, 5 s old  RR" in late
    assert "HR   --- /min stale 0.82  RR" in dead


def test_lines_say_once_when_they_are_old_and_anew_after_the_next(lines):
    lines.look()
    for _ in range(30):
        lines.clock.pass_s(0.5)
        lines.sink.tick()
    lines.look()
    lines.clock.pass_s(9.0)
    lines.sink.tick()
    assert len(lines.said()) == 3
    old = [line for line in lines.said() if line == "nothing new: the numbers above are more than 10 s old"]
    assert len(old) == 1


def test_lines_of_a_recording_that_is_read_slowly_keep_their_values(vitals):
    lines = Lines(vitals, live=False)
    lines.look(printed_after_s=60.0)
    lines.sink.tick()
    (line,) = lines.said()
    assert "HR  71.8 /min ok" in line


def test_a_reader_who_left_while_nothing_came_is_noticed_by_the_next_record(vitals):
    clock = Clock()
    sink = ConsoleSink(SinkContext("kit-7", live=True), Console(file=io.StringIO()), clock)
    sink._reader_left = True
    with pytest.raises(BrokenPipeError):
        sink.write(RecordFactory("kit-7", mono_clock=clock).numerics(vitals), 0)


def test_on_a_terminal_the_last_table_says_when_the_run_ended(factory, vitals):
    console = Console(file=io.StringIO(), record=True, width=100, force_terminal=True)
    sink = ConsoleSink(SinkContext("kit-7"), console)
    sink.open()
    sink.write(factory.numerics(vitals), 7 * S)
    sink.close()
    assert re.search(r"the run ended at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: what stands above", console.export_text())


def test_a_run_that_was_only_checked_is_not_summed_up() -> None:
    out = io.StringIO()
    sink = ConsoleSink(SinkContext("kit-7"), Console(file=out, width=80))
    sink.open()
    sink.close()
    assert out.getvalue() == ""


def test_on_a_terminal_the_last_table_stays_above_the_summary(factory, vitals):
    console = Console(file=io.StringIO(), record=True, width=100, force_terminal=True)
    sink = ConsoleSink(SinkContext("kit-7", truth=known), console)
    sink.open()
    sink.write(factory.numerics(vitals), 7 * S)
    sink.close()
    text = console.export_text()
    assert text.rindex("71.8") < text.rindex("1 records")


def test_errors_are_means_over_ok_and_over_all_values(still_factory, vitals):
    tally = Tally()
    numerics = still_factory.numerics(vitals)
    weak = dataclasses.replace(vitals, hr=Estimate(80.0, 0.4, "low_quality", ("motion",), 10.0, 0, None))
    tally.add(numerics.hr, 70.0)
    tally.add(still_factory.numerics(weak).hr, 76.0)
    tally.add(numerics.rr, 15.0)
    assert tally.text() == "ok 33 % of the time, mean error 1.8 /min; any value 67 %, mean error 2.9 /min"


def test_the_truth_of_a_window_is_its_mean_over_what_is_known():
    def ramp(pts_ns: int) -> Truth | None:
        return Truth(pts_ns / S, 1.0) if pts_ns >= 0 else None

    assert truth_over(ramp, 20 * S, 11.0) == Truth(15.0, 1.0)
    assert truth_over(ramp, 2 * S, 10.0) == Truth(1.0, 1.0)
    assert truth_over(ramp, -S, 1.0) is None
    assert truth_over(None, 0, 10.0) is None


def test_console_takes_no_target():
    assert sink_from_uri("console:", SinkContext("kit-7")).name == "console:"
    with pytest.raises(UsageError, match="takes no target"):
        sink_from_uri("console:tty1", SinkContext("kit-7"))
