"""Two people before one camera, from the pictures to the records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.cli import main

pytestmark = pytest.mark.scenes

TWO = "synthetic:?people=2&hr=66&hr2=96&seed=1&seed2=2&width=480&height=270&fps=20"
BEDS = ("--zone", "left=0,0,0.5,1", "--zone", "right=0.5,0,1,1", "--thermal", "none")
Records = list[dict[str, Any]]


def run(out: Path, query: str, *options: str) -> Records:
    code = main(["run", "--rgb", f"{TWO}&{query}", *options, "--sink", f"jsonl:{out}", "--speed", "max"])
    assert code == 0
    return [json.loads(line) for line in out.read_text().splitlines()]


def hr(records: Records, zone: str, since_s: float = 0.0, until_s: float = 1e9) -> Records:
    """HR of a zone, with the second and the person."""
    return [
        {**record["hr"], "s": record["pts_ns"] / 1e9, "person": record["person"]}
        for record in records
        if record["kind"] == "numerics" and record["zone"] == zone and since_s <= record["pts_ns"] / 1e9 <= until_s
    ]


@pytest.mark.scenes
def test_two_beds_have_rates_of_their_own_and_who_leaves_takes_it_along_within_two_seconds(tmp_path: Path) -> None:
    records = run(tmp_path / "out.jsonl", "seconds=15&leave2_at_s=11.1&leave2_s=9", *BEDS)
    left, right = hr(records, "left"), hr(records, "right", 0.0, 11.1)
    assert {round(one["value"]) for one in left if one["state"] == "ok"} <= set(range(63, 70))
    assert {round(one["value"]) for one in right if one["state"] == "ok"} <= set(range(93, 100))
    assert left[-1]["state"] == right[-1]["state"] == "ok"
    gone = hr(records, "right", 13.1)
    assert len(gone) >= 2
    assert {(one["state"], one["value"]) for one in gone} == {("no_face", None)}
    seconds = [one["s"] for one in hr(records, "right")]
    assert set(range(1, 15)) <= {round(second, 3) for second in seconds}  # a record a second, empty or not
    events = [(event["code"], event["zone"]) for event in records if event["kind"] == "event"]
    assert events.count(("person_came", "left")) == events.count(("person_came", "right")) == 1
    assert [code for code, zone in events if zone == "left" and code.startswith("person")] == ["person_came"]
    assert ("person_left", "right") in events
    assert next(record for record in records if record["kind"] == "meta")["zones"] == ["left", "right"]


@pytest.mark.scenes
def test_two_people_who_swap_from_one_frame_to_the_next_never_share_a_window(tmp_path: Path) -> None:
    """No box moves, and no detection tells: only the picture does."""
    records = run(tmp_path / "out.jsonl", "seconds=23&swap_at_s=10.4", *BEDS)
    for zone, before, after in (("left", 66, 96), ("right", 96, 66)):
        early, late = hr(records, zone, 0.0, 10.4), hr(records, zone, 10.5)
        assert early[-1]["value"] == pytest.approx(before, abs=4)
        assert all(one["value"] is None for one in late if one["s"] < 18.0)
        assert "face_moved" in late[0]["why"]
        assert all(one["value"] == pytest.approx(after, abs=4) for one in late if one["value"] is not None)
        assert late[-1]["state"] == "ok"


@pytest.mark.slow
def test_two_people_who_walk_past_each_other_are_never_mixed(tmp_path: Path) -> None:
    records = run(tmp_path / "out.jsonl", "seconds=24&swap_at_s=10.4&swap_s=3", *BEDS)
    for zone, before, after in (("left", 66, 96), ("right", 96, 66)):
        assert hr(records, zone, 0.0, 10.4)[-1]["value"] == pytest.approx(before, abs=4)
        assert all(one["value"] is None for one in hr(records, zone, 12.5, 18.0))
        late = [one["value"] for one in hr(records, zone, 18.0) if one["value"] is not None]
        assert late
        assert late == pytest.approx([after] * len(late), abs=4)


@pytest.mark.scenes
def test_two_people_in_one_zone_have_records_by_person(tmp_path: Path) -> None:
    options = ("--zone", "room", "--people", "2", "--thermal", "none")
    records = run(tmp_path / "out.jsonl", "seconds=13&leave2_at_s=10.1&leave2_s=9", *options)
    at_nine = {one["person"]: one["value"] for one in hr(records, "room", 9.0, 9.0)}
    assert sorted(at_nine) == [0, 1]
    assert sorted(at_nine.values()) == pytest.approx([66, 96], abs=4)
    stays = next(person for person, value in at_nine.items() if value < 80)
    last = hr(records, "room", 12.5)
    assert {one["person"] for one in last} == {stays}
    farewell = [one for one in hr(records, "room") if one["person"] != stays][-1]
    assert (farewell["state"], farewell["value"]) == ("no_face", None)
    assert farewell["s"] < 12.1


@pytest.mark.scenes
def test_a_face_outside_all_zones_is_not_measured(tmp_path: Path) -> None:
    records = run(
        tmp_path / "out.jsonl", "seconds=4", "--zone", "right=0.6,0,1,1", "--people", "2", "--thermal", "none"
    )
    numerics = [record for record in records if record["kind"] == "numerics"]
    assert {record["zone"] for record in numerics} == {"right"}
    assert {record["person"] for record in numerics} == {0}
