"""Who is there: pure, on real records."""

from __future__ import annotations

import pytest
from rich.console import Console

from edge.fleet.roll import Roll, row_from_kit, topics
from edge.fleet.table import draw
from edge.sinks.factory import RecordFactory
from edge.sinks.records import Record, encode
from edge.vitals import Estimate, Vitals

ROOT = "vitals/1/ward"


def health(factory: RecordFactory, **more) -> Record:
    none: dict = {name: {} for name in ("frames", "late", "duplicate", "reordered")}
    return factory.health(0, dropped={"rgb": 3, "thermal": 4}, detections=0, windows=0, sink_dropped={"mqtt:": 5},
                          temperature_degc=51.4, uptime_s=60.0, **none, **more)  # fmt: skip


def meta(factory: RecordFactory, *zones: str) -> Record:
    return factory.meta(software="1.2.3", bundle="sha256:0123456789ab", signature="none", graph="g", graph_why="w",
                        runtime="onnxrt", mode="exact", zones=zones, cameras={})  # fmt: skip


def numerics(factory: RecordFactory, zone: str = "bed-1", hr_state: str = "ok", age_ms: int = 0) -> Record:
    why = () if hr_state == "ok" else ("motion",)
    hr, rr = (
        Estimate(71.8, 0.8, hr_state, why, 10.0, age_ms, 0.9),
        Estimate(None, 0.1, "lost", ("motion",), 30.0, 0, None),
    )
    return factory.numerics(Vitals(hr, rr, 0, zone, 0, "exact", "sha256:ab", {"rgb": 30.0}, {"rgb": 0}))


def hear(roll: Roll, record: Record, leaf: str, now_s: float, device: str = "kit-7") -> None:
    roll.hear(f"{ROOT}/{device}/{leaf}", encode(record), now_s)


@pytest.fixture
def roll() -> Roll:
    found, factory = Roll(), RecordFactory("kit-7")
    found.hear(f"{ROOT}/kit-7/status", b"online", 0.0)
    hear(found, meta(factory, "bed-1", "bed-2"), "meta", 0.0)
    return found


def shown(roll: Roll, now_s: float, trouble: str = "", *, vitals: bool = False) -> list[str]:
    console = Console(width=80, force_terminal=False)
    with console.capture() as captured:
        console.print(draw(roll, "ward", now_s, trouble, vitals=vitals))
    return captured.get().splitlines()


def test_no_measurement_is_asked_for_unless_wanted() -> None:
    assert topics("ward", vitals=False) == (f"{ROOT}/+/status", f"{ROOT}/+/meta", f"{ROOT}/+/health")
    assert topics("ward", vitals=True)[3:] == (f"{ROOT}/+/+/numerics",)


def test_a_kit_is_online_while_its_health_comes_and_silent_25_s_later(roll: Roll) -> None:
    kit = roll.kits["kit-7"]
    assert (kit.state(1.0), kit.state(25.1), roll.settled(1.0), roll.well(1.0)) == ("unheard", "silent", False, False)
    hear(roll, health(RecordFactory("kit-7")), "health", 30.0)
    assert (kit.state(55.0), kit.state(55.1)) == ("online", "silent")
    assert (roll.well(55.0), roll.well(55.1)) == (True, False)
    roll.hear(f"{ROOT}/kit-7/status", b"offline", 55.0)
    assert (kit.state(55.0), roll.settled(55.0), roll.well(55.0)) == ("offline", True, False)


def test_nobody_is_not_well() -> None:
    assert not Roll().well(0.0)
    assert "no kit was heard of yet" in "\n".join(shown(Roll(), 0.0))


def test_one_line_holds_what_the_kit_tells(roll: Roll) -> None:
    hear(roll, health(RecordFactory("kit-7"), sink_waiting={"mqtt:": 11}), "health", 2.0)
    row = row_from_kit(roll.kits["kit-7"], 5.0)
    told = {
        key: row[key] for key in ("state", "seen_s", "temperature_degc", "frames_dropped", "records_dropped", "waiting")
    }
    assert list(told.values()) == ["online", 3.0, 51.4, 7, 5, 11]
    assert (row["software"], row["bundle"], row["zones"]) == ("1.2.3", "sha256:0123456789ab", ["bed-1", "bed-2"])
    line = next(line for line in shown(roll, 5.0) if line.startswith("kit-7"))
    assert line.split() == ["kit-7", "online", "3", "51", "7", "5", "11", "1.2.3", "01234567", "bed-1", "bed-2"]


def test_rates_are_shown_by_zone_for_10_s_of_their_age_and_marked_when_not_ok(roll: Roll) -> None:
    factory = RecordFactory("kit-7")
    hear(roll, numerics(factory), "bed-1/numerics", 0.0)
    hear(roll, numerics(factory, "bed-2", "hold", 6_000), "bed-2/numerics", 0.0)
    hear(roll, numerics(factory, "bed-2", "hold", 6_000), "bed-2/history", 0.0)
    at = {
        now_s: [line.split()[-3:] for line in shown(roll, now_s, vitals=True) if "bed-" in line]
        for now_s in (1.0, 5.0, 11.0)
    }
    assert at == {
        1.0: [["bed-1", "72", "--"], ["bed-2", "72?", "--"]],
        5.0: [["bed-1", "72", "--"], ["bed-2", "--", "--"]],
        11.0: [["bed-1", "--", "--"], ["bed-2", "--", "--"]],
    }


def test_what_came_late_is_as_old_as_it_was_late_against_the_quickest_since_the_start(roll: Roll) -> None:
    made_s = [50.0]

    def look(factory: RecordFactory, made_at_s: float, came_s: float) -> list[str]:
        made_s[0] = made_at_s
        hear(roll, numerics(factory), "bed-1/numerics", came_s)
        return [zone for zone, _ in roll.kits["kit-7"].rates.items()]

    def there(now_s: float) -> bool:
        return "bed-1" in row_from_kit(roll.kits["kit-7"], now_s)["vitals"]

    factory = RecordFactory("kit-7", mono_clock=lambda: round(made_s[0] * 1e9))
    look(factory, 50.0, 1_000.3)
    assert (there(1_010.3), there(1_010.4)) == (True, False)
    look(factory, 51.0, 1_009.3)  # 8 s longer on its way than the one before
    assert (there(1_011.3), there(1_011.4)) == (True, False)
    look(RecordFactory("kit-7", mono_clock=lambda: round(made_s[0] * 1e9)), 2.0, 1_020.0)  # it started anew
    assert (there(1_030.0), there(1_030.1)) == (True, False)


@pytest.mark.parametrize("vitals", [False, True])
def test_the_table_fits_80_columns(roll: Roll, vitals: bool) -> None:
    for n in range(3):
        device = f"a-kit-with-a-rather-long-name-{n}"
        roll.hear(f"{ROOT}/{device}/status", b"offline", 0.0)
        hear(roll, meta(RecordFactory(device), *(f"bed-{bed}" for bed in range(9))), "meta", 0.0, device)
    lines = shown(roll, 0.0, vitals=vitals)
    assert max(map(len, lines)) <= 80
    heads = ("state", "seen", "°C", "frames", "lost", "waits", *(("HR", "RR") if vitals else ()))
    assert [head for head in heads if head not in lines[1].split()] == []
    assert sum("offline" in line for line in lines) == 3


def test_what_the_broker_forgets_is_gone_and_what_is_no_record_counted(roll: Roll) -> None:
    roll.hear(f"{ROOT}/kit-7/health", b"{}", 0.0)
    hear(roll, health(RecordFactory("kit-8")), "health", 0.0)
    assert roll.strange == 2
    assert roll.kits["kit-7"].heard_s is None
    roll.hear(f"{ROOT}/kit-7/status", b"", 0.0)
    assert roll.kits == {}


def test_a_broken_connection_is_said_above_the_table(roll: Roll) -> None:
    assert "no connection to the broker (cut)" in shown(roll, 0.0, "cut")[1]
