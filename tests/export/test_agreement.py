"""Vital signs as the gate: hops, what is judged, what is refused, and which layers are dropped for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from export.agreement import (
    MIN_JUDGED,
    PRECISION_GATE,
    STREAM_GATE,
    Agreement,
    Gate,
    Hop,
    Judge,
    agreements,
    refusal,
)
from export.clip_set import Recording
from export.forms_int8 import LayerRange
from export.search import greedy, sensitivities

FPS, FRAMES, LENGTH = 30.0, 181, 960
BOTH = ("bvp", "rsp")
T_S = np.arange(LENGTH) / FPS


def recordings(hr_per_min: float = 72.0, rr_per_min: float = 15.0, noise: float = 0.0) -> list[Recording]:
    """Two of ``[2, L, 1, 1]`` whose first channel is a pulse and whose second is a breath."""
    rng = np.random.default_rng(1)
    waves = np.stack([np.sin(2 * np.pi * rate / 60.0 * T_S) for rate in (hr_per_min, rr_per_min)])
    waves = waves[None] + noise * rng.normal(size=(2, 2, LENGTH))
    return [Recording(one[..., None, None].astype(np.float32)) for one in waves]


def see(frames: np.ndarray) -> dict[str, np.ndarray]:
    """A network that gives what it is shown."""
    return {"bvp": frames[:, 0, 1:, 0, 0], "rsp": frames[:, 1, 1:, 0, 0]}


def faster(factor: float, task: str = "bvp"):
    """The same, with one wave played faster."""

    def infer(frames: np.ndarray) -> dict[str, np.ndarray]:
        waves = see(frames)
        places = np.arange(FRAMES - 1) * factor
        waves[task] = np.stack([np.interp(places, np.arange(FRAMES - 1), w, period=None) for w in waves[task]])
        return waves

    return infer


def test_a_graph_agrees_with_itself() -> None:
    hops = Judge(see, recordings(), FRAMES, FPS).hops(see)
    found = {one.task: one for one in agreements(hops, BOTH)}
    assert len(hops) == 2 * 2 * 26
    assert found["bvp"].judged == 2 * 26  # from the first window on
    assert found["rsp"].judged == 2 * 17  # from 15 s on
    assert (found["bvp"].shift_max, found["bvp"].max_error, found["bvp"].quality_db) == (0.0, 0.0, 0.0)
    assert found["bvp"].pearson_least == pytest.approx(1.0)
    rates = [hop.reference_per_min for hop in hops if hop.task == "bvp" and hop.judged]
    assert np.abs(np.array(rates, float) - 72.0).max() < 1.0
    assert not refusal(found.values())


def test_a_shifted_rate_is_refused_by_name() -> None:
    judge = Judge(see, recordings(), FRAMES, FPS)
    found = agreements(judge.hops(faster(0.97)), BOTH)
    assert [(one.rate, one.holds) for one in found] == [("HR", False), ("RR", True)]
    assert refusal(found).startswith("HR shifts by ")
    assert "in one hop of twenty (limit 0.5)" in refusal(found)


def test_a_hop_where_the_reference_shows_no_rate_is_not_judged() -> None:
    rng = np.random.default_rng(2)
    judge = Judge(
        lambda frames: {"bvp": rng.normal(size=(1, FRAMES - 1)).astype(np.float32)}, recordings(), FRAMES, FPS
    )
    (found,) = agreements(judge.hops(lambda frames: {"bvp": see(frames)["bvp"]}), ("bvp",))
    assert found.judged < found.hops / 4
    for judged in (0, MIN_JUDGED - 1):
        too_few = shifted([0.0] * judged, 9)
        assert not too_few.holds
        assert f"could not be judged: the reference shows a rate in {judged} of 9 hops" in refusal([too_few])
    assert shifted([0.0] * MIN_JUDGED, 9).holds


def test_a_task_without_hops_does_not_pass() -> None:
    found = agreements(Judge(see, recordings(), FRAMES, FPS, ("rsp",)).hops(see), BOTH)
    assert all(one.holds for one in found)
    silent = [Recording(one.frames, frozenset({"thermal"})) for one in recordings()]
    found = agreements(Judge(see, silent, FRAMES, FPS, ("rsp",)).hops(see), BOTH)
    assert [(one.rate, one.hops, one.holds) for one in found] == [("HR", 52, True), ("RR", 0, False)]


def shifted(shifts: list[float], hops: int = 0, gate: Gate = PRECISION_GATE) -> Agreement:
    """The agreement of judged hops with these shifts, among ``hops``."""
    judged = [Hop(0, float(t), "bvp", 0.0, 1.0, 60.0, shift, 0.0, judged=True) for t, shift in enumerate(shifts)]
    rest = [Hop(0, 99.0, "bvp", 0.0, 1.0, None, None, None, judged=False)] * max(0, hops - len(shifts))
    (found,) = agreements([*judged, *rest], ("bvp",), gate)
    return found


def test_one_hop_may_show_another_peak_and_one_in_fifty() -> None:
    """Below 5 % the 95th percentile does not see them."""
    for many, far, holds in ((60, 1, True), (60, 2, False), (200, 4, True), (200, 5, False)):
        found = shifted([0.0] * (many - far) + [-7.4] * far)
        assert (found.far, found.shift_p95, found.holds) == (far, 0.0, holds)
    assert refusal([shifted([0.0] * 58 + [7.4] * 2)]) == "HR moves by more than 3/min in 2 of 60 hops (limit 1)"


def test_a_stream_is_held_to_the_median_and_to_one_hop_in_ten() -> None:
    assert shifted([0.4] * 6 + [2.0] * 4, gate=STREAM_GATE).holds
    late = shifted([0.4] * 4 + [2.0] * 6, gate=STREAM_GATE)
    assert "HR shifts by 2.00/min in half of the hops (limit 0.5)" in refusal([late])
    assert shifted([0.0] * 18 + [9.0] * 2, gate=STREAM_GATE).holds
    assert "in 3 of 20 hops (limit 2)" in refusal([shifted([0.0] * 17 + [9.0] * 3, gate=STREAM_GATE)])


def noisy(kept: Mapping[int, LayerRange]):
    """A graph whose quantised layer 1 plays the pulse faster, 2 adds little noise to it, 3 to the breath, 0 nothing."""
    amounts = {0: 0.0, 1: 0.0, 2: 0.01, 3: 0.1}

    def infer(frames: np.ndarray) -> dict[str, np.ndarray]:
        rng, waves = np.random.default_rng(5), faster(0.9)(frames) if 1 in kept else see(frames)
        for number in kept:
            task = "rsp" if number == 3 else "bvp"
            waves[task] = waves[task] + amounts[number] * rng.normal(size=waves[task].shape)
        return waves

    return infer


def test_the_table_has_the_worst_first_and_the_search_drops_what_fails() -> None:
    ranges = {number: LayerRange(1.0, 1.0) for number in range(4)}
    clips = recordings()
    table = sensitivities(noisy, ["a", "b", "c", "d"], ranges, see, [clips[0].frames[None, :, :FRAMES]])
    assert [one.layer for one in table] == ["b", "d", "c", "a"]
    assert table[0].loss["bvp"] > 0.5 > table[1].loss["rsp"] > 0.0
    judge = Judge(see, clips, FRAMES, FPS)
    found = greedy(ranges, table, lambda kept: agreements(judge.hops(noisy(kept)), BOTH))
    assert (found.kept, found.dropped) == ((0, 2, 3), (1,))
    assert all(one.holds for one in found.agreements)
    nothing = greedy(ranges, table, lambda _: agreements(judge.hops(faster(0.9)), BOTH))
    assert (nothing.kept, len(nothing.dropped)) == ((), 4)
