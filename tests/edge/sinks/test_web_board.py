"""What the page shows, as the server makes it: freshness, board, metrics, advice for aiming."""

from __future__ import annotations

import dataclasses
import json

import pytest
from fakes.bedside import OK_HR, OK_RR, Bedside, S, lost, sight
from hypothesis import given
from hypothesis import strategies as st

from edge.sight import FaceSeen
from edge.sinks.freshness import DEAD_MS, STALE_MS, quality_word, shown
from edge.sinks.web.aiming import aiming_from
from edge.sinks.web.board import Board
from edge.sinks.web.metrics import metrics_text
from edge.vitals import REASONS, STATES, VALUE_STATES, Estimate

AGES = st.floats(-1e5, 1e5) | st.sampled_from([0.0, STALE_MS, DEAD_MS, float("nan"), float("inf")])


@pytest.fixture
def bedside() -> Bedside:
    """Not opened: its sink's board is read directly."""
    return Bedside()


def board(bedside: Bedside) -> Board:
    return bedside.sink._board


def only_card(bedside: Bedside) -> dict:
    (card,) = board(bedside).snapshot(bedside.clock(), -1)["cards"]
    return card


@given(st.none() | st.floats(1, 300), st.sampled_from(STATES), AGES, AGES)
def test_no_value_is_shown_that_is_older_than_ten_seconds_or_has_no_age(value, state, age_ms, silent_ms):
    one = shown(value, state, age_ms, silent_ms)
    if one.value is not None:
        assert 0 <= age_ms + silent_ms <= DEAD_MS
        assert state in VALUE_STATES
        assert one.grey or silent_ms <= STALE_MS
    if not one.grey:
        assert one.state == state
        assert silent_ms <= STALE_MS


def test_a_fresh_value_is_shown_as_it_is():
    assert shown(72.0, "ok", 240, 500) == shown(72.0, "ok", 0, 0)
    assert not shown(72.0, "ok", 240, 500).grey
    assert shown(72.0, "hold", 4000, 500).grey


@pytest.mark.parametrize(("sqi", "word"), [(1.0, "good"), (0.75, "good"), (0.6, "fair"), (0.49, "poor"), (0.0, "poor")])
def test_quality_has_a_word(sqi, word):
    assert quality_word(sqi) == word


def test_a_card_says_all_that_a_rate_has_to_say(bedside):
    bedside.look(OK_HR, lost("motion"))
    bedside.waves(resp=False)
    bedside.clock.now_ns += 2 * S
    card = only_card(bedside)
    assert (card["zone"], card["person"], card["silent_ms"]) == ("main", 0, 2000.0)
    hr, rr = card["hr"], card["rr"]
    assert (hr["value"], hr["state"], hr["sqi"], hr["quality"], hr["age_ms"]) == (71.8, "ok", 0.82, "good", 240)
    assert (hr["source"], rr["source"]) == ("rgb", None)
    assert rr["value"] is None
    assert rr["why"] == [f"{REASONS['motion'].sentence}: {REASONS['motion'].fix}"]
    assert card["fps"] == {"rgb": 29.97, "thermal": 8.7}


def test_who_is_not_looked_at_any_more_leaves_the_page_while_the_zone_goes_on(bedside):
    for second in range(6):
        bedside.look(zone="a", person=1)
        if second < 3:
            bedside.look(zone="b", person=2)
        else:
            bedside.look(zone="b", person=3)
        bedside.step()
    assert [(c["zone"], c["person"]) for c in board(bedside).snapshot(0, -1)["cards"]] == [("a", 1), ("b", 3)]


def test_who_leaves_goes_at_once_while_another_is_there_and_an_empty_bed_stays(bedside):
    def people() -> list[int]:
        return [card["person"] for card in board(bedside).snapshot(0, -1)["cards"]]

    for person in (1, 2):
        bedside.look(person=person)
    bedside.send(bedside.factory.event("person_left", "info", "", zone="main", person=2))
    assert people() == [1]
    bedside.send(bedside.factory.event("person_left", "info", "", zone="main", person=1))
    assert people() == [1]


def test_the_light_of_the_recording_goes_out_with_it():
    bedside = Bedside(kept="numbers", recording=True)
    assert board(bedside).snapshot(0, -1)["kept"] == "pictures"
    bedside.send(bedside.factory.event("recording_ended", "warning", "its quota is full"))
    assert board(bedside).snapshot(0, -1)["kept"] == "numbers"


def test_the_board_never_grows(bedside):
    for person in range(300):
        bedside.look(person=person, zone=f"z{person}")
        bedside.waves(person=person, zone=f"z{person}")
        bedside.send(bedside.factory.event("hr_state", "info", "ok -> lost"))
    snapshot = board(bedside).snapshot(bedside.clock(), -1)
    assert len(snapshot["cards"]) == 16
    assert len(snapshot["events"]) == 4
    for _ in range(300):
        bedside.waves(person=299, zone="z299")
    assert len(board(bedside).cards["z299", 299].waves["pleth"]) == 40


def test_waves_come_once_with_their_gaps(bedside):
    bedside.look()
    bedside.step(7 - bedside.second % 7)
    bedside.waves()
    first = board(bedside).snapshot(bedside.clock(), -1)
    assert [wave["wave"] for wave in first["waves"]] == ["pleth", "resp"]
    assert first["waves"][0]["samples"][10:20] == (None,) * 10
    assert first["waves"][0]["t0_ms"] == (bedside.second - 2) * 1000.0
    assert board(bedside).snapshot(bedside.clock(), board(bedside).newest_seq())["waves"] == []


def test_what_the_cameras_see_goes_only_to_who_aims_and_gets_old(bedside):
    one = sight()
    board(bedside).see(one, 10 * S)
    board(bedside).see(one, 14 * S)
    assert board(bedside).snapshot(15 * S, -1)["sight"] is None
    assert board(bedside).snapshot(15 * S, -1, aim=True)["sight"]["silent_ms"] == 5000.0


def test_a_snapshot_is_json_of_plain_values(bedside):
    bedside.meta("main", "b")
    bedside.look()
    bedside.waves()
    board(bedside).see(sight(), 0)
    json.dumps(board(bedside).snapshot(bedside.clock(), -1, aim=True), allow_nan=False)


def values(bedside: Bedside) -> dict[str, float]:
    lines = metrics_text(board(bedside), 3, bedside.clock()).splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


def test_metrics_hold_what_is_fresh_and_leave_out_what_is_not(bedside):
    bedside.look(OK_HR, lost("motion"))
    bedside.send(
        bedside.factory.health(
            0, frames={"rgb": 12345678}, dropped={}, late={}, duplicate={}, reordered={}, detections=0, windows=0,
            sink_dropped={'a"b\\c': 2}, temperature_degc=51.5,
        )
    )  # fmt: skip
    fresh = values(bedside)
    assert fresh['mmrphys_hr_per_minute{zone="main"}'] == 71.8
    assert fresh['mmrphys_hr_state{zone="main",state="ok"}'] == 1
    assert fresh['mmrphys_rr_state{zone="main",state="lost"}'] == 1
    assert 'mmrphys_rr_per_minute{zone="main"}' not in fresh
    assert fresh['mmrphys_camera_frames_total{camera="rgb"}'] == 12345678
    assert fresh[r'mmrphys_sink_dropped_total{sink="a\"b\\c"}'] == 2
    assert (fresh["mmrphys_temperature_degc"], fresh["mmrphys_page_clients"]) == (51.5, 3)
    bedside.clock.now_ns += 4 * S
    stale = values(bedside)
    assert 'mmrphys_hr_per_minute{zone="main"}' not in stale
    assert stale['mmrphys_hr_state{zone="main",state="stale"}'] == 1
    assert stale['mmrphys_silent_seconds{zone="main"}'] == 4.0


def test_metrics_are_by_zone_for_track_numbers_never_come_back(bedside):
    bedside.look(person=1, zone="a")
    bedside.look(Estimate(99.0, 0.9, "ok", (), 10.0, 0, 1.0), OK_RR, person=2, zone="a")
    assert [name for name in values(bedside) if "hr_per_minute" in name] == ['mmrphys_hr_per_minute{zone="a"}']
    assert values(bedside)['mmrphys_hr_per_minute{zone="a"}'] == 71.8


def test_an_empty_board_has_metrics_too(bedside):
    assert values(bedside) == {'mmrphys_online{device="kit-7"}': 0, "mmrphys_page_clients": 3}


def advice(**changes) -> dict:
    face = dataclasses.replace(sight().faces[0], **changes)
    return aiming_from(sight(faces=(face,)), 21.0)


def failing(seen: dict) -> list[str]:
    return [one["text"] for one in seen["advice"] if not one["well"]]


def test_a_face_that_is_seen_well_needs_no_advice():
    seen = advice()
    assert (failing(seen), seen["headline"], seen["faces"][0]["well"]) == ([], "One face, aimed well", True)
    assert any("21 ms apart (want <= 80 ms)" in one["text"] for one in seen["advice"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"side_px": 40.0}, "the face is 40 px wide (want >= 80): come to 50% of this distance"),
        ({"side_px": 40.0, "distance_m": 2.0}, "about 2.0 m (want >= 80): come 1.0 m closer"),
        ({"level": 12.0}, "brightness 12 of 255 (want 30 to 245): add light"),
        ({"level": 252.0}, "reduce exposure"),
        ({"thermal_share": 0.4}, "sees 40% of the face (want >= 75%)"),
        ({"box": (0.0, 0.3, 0.16, 0.28)}, "aim the camera more left"),
        ({"box": (0.85, 0.3, 0.16, 0.28)}, "aim the camera more right"),
        ({"box": (0.4, 0.0, 0.16, 0.28)}, "aim the camera more up"),
        ({"box": (0.85, 0.75, 0.16, 0.28)}, "aim the camera more right and down"),
        ({"box": (0.1, 0.1, 0.8, 0.85)}, "move back"),
    ],
)
def test_what_is_not_well_has_its_number_and_what_to_do(changes, words):
    (text,) = failing(advice(**changes))
    assert words in text


def test_without_a_rig_nothing_is_said_of_the_overlap_but_that_it_is_assumed():
    seen = advice(thermal_share=None)
    assert failing(seen) == []
    assert sum("no rig is given" in one["text"] for one in seen["advice"]) == 1


def test_without_a_face_the_light_of_the_picture_is_told():
    seen = aiming_from(sight(faces=(), level=8.0), None)
    assert seen["headline"] == "No face is found"
    assert [
        words in text for words, text in zip(("face the camera", "brightness 8", "cable"), failing(seen), strict=True)
    ]


def test_several_faces_are_told_apart():
    other = FaceSeen("b", 4, (0.7, 0.3, 0.1, 0.18), 60.0, 100.0, None, None)
    (text,) = failing(aiming_from(sight(faces=(*sight().faces, other)), 21.0))
    assert text.startswith("b/4: the face is 60 px wide")
