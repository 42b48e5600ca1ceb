"""The life gate, the hold and the order of states, tried by hand and at random."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.signals.evidence import Evidence
from edge.signals.state import GateRules, RateTracker, Situation, first_named
from edge.vitals import VALUE_STATES, Estimate

S = 1_000_000_000


def look(rate: float | None = 72.0, sqi: float = 0.9, *, alive: bool = True, why: tuple[str, ...] = ()) -> Evidence:
    return Evidence(rate, 0.5, sqi, alive=alive, why=why, window_s=10.0)


def run(*looks: Evidence | Situation | None, rules: GateRules | None = None) -> list[Estimate]:
    tracker = RateTracker(rules or GateRules(step_per_min=8.0))
    out = []
    for k, item in enumerate(looks, 1):
        situation = item if isinstance(item, Situation) else Situation()
        evidence = look() if isinstance(item, Situation) else item
        out.append(tracker.step(k * S, k * S - 100_000_000, situation, evidence))
    return out


def states(*looks: Evidence | Situation | None) -> list[str]:
    return [estimate.state for estimate in run(*looks)]


def test_three_agreeing_looks_open_the_gate() -> None:
    assert states(None, look(), look(), look(), look()) == ["starting", "starting", "starting", "ok", "ok"]


def test_a_jump_closes_it_again() -> None:
    assert states(look(60), look(72), look(90), look(91), look(92)) == ["starting"] * 4 + ["ok"]


def test_dead_cues_never_open_it() -> None:
    assert set(states(*[look(alive=False, why=("not_alive",))] * 30)) == {"lost"}


def test_low_quality_carries_a_flagged_value() -> None:
    last = run(*[look(sqi=0.3)] * 4)[-1]
    assert (last.state, last.value, last.why) == ("low_quality", 72.0, ("weak_signal",))


def test_an_ok_value_is_held_for_ten_seconds_and_ages() -> None:
    estimates = run(*[look()] * 3, *[look(alive=False, why=("motion",))] * 12)
    held = [estimate for estimate in estimates if estimate.state == "hold"]
    assert [estimate.state for estimate in estimates[3:]] == ["hold"] * 9 + ["lost"] * 3
    assert [estimate.age_ms for estimate in held] == [100 + 1000 * k for k in range(1, 10)]
    assert all(estimate.why == ("motion",) and estimate.value == 72.0 for estimate in held)


def test_a_low_quality_value_is_not_held() -> None:
    assert states(*[look(sqi=0.2)] * 3, look(alive=False, why=("motion",)))[-1] == "lost"


@pytest.mark.parametrize("state", ["fault", "camera_lost", "no_face", "stale"])
def test_a_situation_takes_the_value_at_once(state: str) -> None:
    last = run(*[look()] * 5, Situation(state, ("no_face",)))[-1]
    assert (last.state, last.value) == (state, None)


def test_reasons_of_the_situation_keep_a_value_from_ok() -> None:
    last = run(*[look()] * 3, Situation(None, ("face_small",)))[-1]
    assert (last.state, last.value, last.why) == ("low_quality", 72.0, ("face_small",))


def test_a_short_window_is_not_ok() -> None:
    rules = GateRules(step_per_min=3.0, ok_window_s=20.0)
    last = run(*[look(15.0)] * 4, rules=rules)[-1]
    assert (last.state, last.why) == ("low_quality", ("warming_up",))


def test_the_same_evidence_is_counted_once() -> None:
    tracker = RateTracker(GateRules(step_per_min=8.0))
    assert {tracker.step(k * S // 2, S, Situation(), look()).state for k in range(2, 6)} == {"starting"}


def test_evidence_that_grows_old_is_no_evidence() -> None:
    tracker = RateTracker(GateRules(step_per_min=8.0))
    for k in range(1, 5):
        tracker.step(k * S, k * S, Situation(), look())
    assert [tracker.step(k * S, 4 * S, Situation(), look()).state for k in range(5, 8)] == ["ok", "ok", "hold"]
    assert tracker.step(15 * S, 4 * S, Situation(), look()).state == "lost"


def test_a_forbidding_state_ends_the_hold() -> None:
    last = run(*[look()] * 4, Situation("camera_lost", ("camera_ended",)), look(alive=False, why=("motion",)))[-1]
    assert (last.state, last.value) == ("lost", None)


def test_the_first_named_state_wins_with_the_reasons_of_all() -> None:
    won = first_named(Situation("lost", ("gap",)), Situation(None, ("ffc",)), Situation("no_face", ("no_face",)))
    assert won == Situation("no_face", ("no_face", "gap", "ffc"))


def test_forgetting_takes_the_held_value_too() -> None:
    tracker = RateTracker(GateRules(step_per_min=8.0))
    for k in range(4):
        tracker.step(k * S, k * S, Situation(), look())
    tracker.forget()
    assert tracker.step(5 * S, 5 * S, Situation(), look(alive=False)).state == "lost"
    assert tracker.rate_per_min is None


_LOOKS = st.one_of(
    st.none(),
    st.builds(
        look,
        rate=st.one_of(st.none(), st.floats(40, 180)),
        sqi=st.floats(0, 1),
        alive=st.booleans(),
        why=st.sampled_from([(), ("motion",), ("not_alive", "dark")]),
    ),
    st.builds(Situation, st.sampled_from(["fault", "camera_lost", "no_face", "stale", "lost"]), st.just(("gap",))),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(_LOOKS, max_size=40))
def test_no_schedule_of_faults_shows_a_value_older_than_ten_seconds(looks: list[Evidence | Situation | None]) -> None:
    for item, estimate in zip(looks, run(*looks), strict=True):
        assert (estimate.value is not None) == (estimate.state in VALUE_STATES)
        assert estimate.value is None or estimate.age_ms <= 10_000
        if isinstance(item, Situation):
            assert estimate.state == item.state
        if estimate.state in ("ok", "low_quality"):
            assert isinstance(item, Evidence)
            assert item.alive


def test_sources_go_with_the_value_and_stay_while_it_is_held() -> None:
    seen = dataclasses.replace(look(), sources=("thermal",), source_sqi={"thermal": 0.8, "rgb": 0.4})
    dead = look(alive=False, why=("motion",))
    first, *_, ok, hold, _ = run(*[seen] * 4, dead, None)
    assert (first.value, first.sources, first.source_sqi) == (None, (), {})
    for estimate, state in ((ok, "ok"), (hold, "hold")):
        assert estimate.state == state
        assert (estimate.sources, estimate.source_sqi) == (("thermal",), {"thermal": 0.8, "rgb": 0.4})
    with pytest.raises(ValueError, match="sources are those of a value"):
        Estimate(None, 0.0, "lost", ("motion",), 30.0, 0, None, sources=("rgb",))
