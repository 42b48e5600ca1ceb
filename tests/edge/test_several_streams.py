"""Two people before one camera in mode ``stream``, a zone each: one leaves and comes back, then they change places."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge.cli import main

pytestmark = [pytest.mark.scenes, pytest.mark.slow]

LEFT, RIGHT = 66.0, 96.0
"""Heart rates of the two at the start."""
AWAY_S, BACK_S, SWAP_S, END_S = 30.1, 33.1, 44.4, 54
Looks = dict[int, dict[str, Any]]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    out = tmp_path_factory.mktemp("two") / "out.jsonl"
    scene = (
        f"synthetic:?people=2&hr={LEFT}&hr2={RIGHT}&seed=1&seed2=2&width=400&height=200&fps=20&seconds={END_S}"
        f"&leave2_at_s={AWAY_S}&leave2_s={BACK_S - AWAY_S}&swap_at_s={SWAP_S}"
    )
    zones = ("--zone", "left=0,0,0.5,1", "--zone", "right=0.5,0,1,1")
    words = ("--thermal", "none", "--mode", "stream", "--sink", f"jsonl:{out}", "--speed", "max")
    assert main(["run", "--rgb", scene, *zones, *words]) == 0
    return [json.loads(line) for line in out.read_text().splitlines()]


@pytest.fixture(scope="module")
def left(records: list[dict[str, Any]]) -> Looks:
    return looks(records, "left")


@pytest.fixture(scope="module")
def right(records: list[dict[str, Any]]) -> Looks:
    return looks(records, "right")


def looks(records: list[dict[str, Any]], zone: str) -> Looks:
    """Numerics of a zone at whole seconds."""
    own = [record for record in records if record["kind"] == "numerics" and record["zone"] == zone]
    return {round(record["pts_ns"] / 1e9): record for record in own if record["pts_ns"] % 10**9 < 10**6}


def values(of: Looks, since_s: float, until_s: float) -> list[float]:
    """HR wherever there is a number."""
    return [one["hr"]["value"] for second, one in of.items() if since_s <= second <= until_s and one["hr"]["value"]]


@pytest.mark.parametrize(("zone", "hr"), [("left", LEFT), ("right", RIGHT)])
def test_each_zone_has_the_hr_of_its_own_person_from_a_stream_of_its_own(
    zone: str, hr: float, request: pytest.FixtureRequest
) -> None:
    of = request.getfixturevalue(zone)
    assert {of[second]["hr"]["state"] for second in range(10, 31)} == {"ok"}
    assert (of[20]["mode"], of[30]["mode"]) == ("exact", "stream")
    assert values(of, 0, AWAY_S) == pytest.approx([hr] * len(values(of, 0, AWAY_S)), abs=5)


def test_who_leaves_takes_the_value_along_and_the_others_stream_goes_on(left: Looks, right: Looks) -> None:
    gone = [right[second] for second in range(32, 34)]
    assert {(one["hr"]["state"], one["hr"]["value"]) for one in gone} == {("no_face", None)}
    stays = [left[second] for second in range(28, 45)]
    assert {(one["mode"], one["hr"]["state"]) for one in stays} == {("stream", "ok")}
    assert values(left, 28, 44) == pytest.approx([LEFT] * 17, abs=5)


def test_who_comes_back_begins_by_windows(right: Looks) -> None:
    assert not values(right, 34, 39)
    assert {right[second]["mode"] for second in range(35, 45)} == {"exact"}
    assert right[44]["hr"]["state"] == "ok"
    assert values(right, 34, 44) == pytest.approx([RIGHT] * len(values(right, 34, 44)), abs=5)


def test_two_who_change_places_never_have_a_number_of_the_other_one(left: Looks, right: Looks) -> None:
    for of, hr in ((left, RIGHT), (right, LEFT)):
        assert not values(of, SWAP_S, 50)
        assert "face_moved" in of[45]["hr"]["why"]
        assert of[53]["hr"]["state"] == "ok"
        assert of[53]["mode"] == "exact"
        assert values(of, SWAP_S, END_S) == pytest.approx([hr] * len(values(of, SWAP_S, END_S)), abs=5)


def test_waves_are_told_by_zone_and_none_of_a_stream_spans_the_change(records: list[dict[str, Any]]) -> None:
    waves = [record for record in records if record["kind"] == "wave"]
    assert {wave["zone"] for wave in waves} == {"left", "right"}
    spans_s = [(wave["t0_ns"] / 1e9, wave["t0_ns"] / 1e9 + (len(wave["samples"]) - 1) / wave["fs"]) for wave in waves]
    assert not any(begin_s < SWAP_S - 0.05 and end_s > SWAP_S + 0.05 for begin_s, end_s in spans_s)
