from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clips.pairing import Pairer
from edge.frames import Frame, FrameKind, FramePair
from edge.rig import TimeOffset

MS = 1_000_000
GATE_NS = 70 * MS
RGB = np.zeros((1, 1, 3), np.uint8)
PICTURES = itertools.count()


def frame(kind: FrameKind, pts_ns: int, *, shutter: bool = False, picture: int | None = None) -> Frame:
    """A frame of one pixel; every thermal picture is a new one unless given."""
    number = next(PICTURES) if picture is None else picture
    image = RGB if kind == "rgb" else np.array([[number % 2**24]], np.float32)
    return Frame(image, pts_ns, "media", 0, kind, shutter=shutter)


def run(frames: list[Frame], gate_ns: int = GATE_NS, patience_ns: int | None = None) -> tuple[Pairer, list[FramePair]]:
    pairer = Pairer(gate_ns, thermal=True, patience_ns=patience_ns)
    pairs = [pair for one in frames for pair in pairer.push(one)]
    return pairer, pairs + pairer.finish()


def brute(rgb: list[Frame], thermal: list[Frame], gate_ns: int) -> list[tuple[int, int | None, str]]:
    """(RGB stamp, thermal stamp, why absent) by looking at every thermal frame for each RGB frame."""
    rows = []
    for t in (one.pts_ns for one in rgb):
        best = min(thermal, key=lambda other: (abs(other.pts_ns - t), other.pts_ns), default=None)
        if best is None or abs(best.pts_ns - t) > gate_ns:
            rows.append((t, None, "gate"))
        else:
            rows.append((t, None, "shutter") if best.shutter else (t, best.pts_ns, ""))
    return rows


def rows(pairs: list[FramePair]) -> list[tuple[int, int | None, str]]:
    return [(p.rgb.pts_ns, p.thermal.pts_ns if p.thermal else None, p.thermal_absent) for p in pairs]


@st.composite
def streams(draw: st.DrawFn, kind: FrameKind) -> list[Frame]:
    """A stream of 0 to 80 frames at 5 to 60 Hz with jitter, drops, repeated stamps and steps back."""
    period_ns = 1e9 / draw(st.floats(5.0, 60.0))
    start_ns = draw(st.integers(0, 300 * MS))
    jitter = draw(st.floats(0.0, 0.45))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    kept = np.flatnonzero(random.random(draw(st.integers(0, 80))) > draw(st.sampled_from([0.0, 0.1, 0.5])))
    stamps = [start_ns + round((k + random.uniform(-jitter, jitter)) * period_ns) for k in kept]
    for i in range(1, len(stamps)):
        if random.random() < 0.05:
            stamps[i] = stamps[i - 1] - random.integers(0, 2) * MS
    shut = draw(st.floats(0.0, 0.3))
    return [frame(kind, int(t), shutter=kind == "thermal" and random.random() < shut) for t in stamps]


def rising(frames: list[Frame]) -> list[Frame]:
    kept: list[Frame] = []
    for one in frames:
        if not kept or one.pts_ns > kept[-1].pts_ns:
            kept.append(one)
    return kept


def skipped(frames: list[Frame]) -> tuple[int, int]:
    """How many have the stamp of the newest before them, and how many an older one."""
    stamps = [one.pts_ns for one in frames]
    newest = [max(stamps[:i], default=-(10**18)) for i in range(len(stamps))]
    return sum(map(int.__eq__, stamps, newest)), sum(map(int.__lt__, stamps, newest))


@settings(max_examples=300, deadline=None)
@given(streams("rgb"), streams("thermal"), st.integers(0, 120 * MS))
def test_streams_merged_by_stamp_pair_as_brute_force(rgb: list[Frame], thermal: list[Frame], gate_ns: int) -> None:
    kept_rgb, kept_thermal = rising(rgb), rising(thermal)
    merged = sorted(kept_rgb + kept_thermal, key=lambda one: one.pts_ns)
    pairer, pairs = run(merged, gate_ns)
    assert rows(pairs) == brute(kept_rgb, kept_thermal, gate_ns)
    assert all(p.thermal is None or p.skew_ns == p.thermal.pts_ns - p.rgb.pts_ns for p in pairs)
    assert pairer.stats.paired == sum(p.thermal is not None for p in pairs)
    assert pairer.stats.late_thermal == pairer.stats.late_rgb == 0


@settings(max_examples=200, deadline=None)
@given(streams("rgb"), streams("thermal"), st.integers(0, 2**32))
def test_any_merge_within_the_patience_gives_the_same_pairs(rgb: list[Frame], thermal: list[Frame], seed: int) -> None:
    """Each kind stays in order; duplicates and backward stamps are left in; how the kinds mix is arbitrary."""
    random = np.random.default_rng(seed)
    kinds = random.permutation([0] * len(rgb) + [1] * len(thermal))
    sources = [iter(rgb), iter(thermal)]
    pairer, pairs = run([next(sources[kind]) for kind in kinds], patience_ns=10**15)
    kept_rgb, kept_thermal = rising(rgb), rising(thermal)
    if len(kept_rgb) <= 64 and len(kept_thermal) <= 64:  # what a pairer holds
        assert rows(pairs) == brute(kept_rgb, kept_thermal, GATE_NS)
    stats = pairer.stats
    assert (stats.duplicates_rgb, stats.reordered_rgb) == skipped(rgb)
    assert (stats.duplicates_thermal, stats.reordered_thermal) == skipped(thermal)
    assert [p.rgb.pts_ns for p in pairs] == [one.pts_ns for one in kept_rgb]


def test_a_pair_leaves_when_thermal_has_passed_it_and_not_before() -> None:
    pairer = Pairer(GATE_NS, thermal=True)
    assert pairer.push(frame("thermal", 0)) == []
    assert pairer.push(frame("rgb", 10 * MS)) == []
    assert [p.skew_ns for p in pairer.push(frame("thermal", 15 * MS))] == [5 * MS]


def test_equally_near_takes_the_earlier_and_one_thermal_frame_serves_many() -> None:
    _, pairs = run([frame("thermal", 0), *(frame("rgb", t * MS) for t in (20, 30, 50)), frame("thermal", 100 * MS)])
    assert [p.thermal.pts_ns if p.thermal else None for p in pairs] == [0, 0, 0]


def test_late_thermal_costs_pairs_only_beyond_the_patience() -> None:
    late = [frame("rgb", t * MS) for t in range(0, 300, 33)] + [frame("thermal", t * MS) for t in range(0, 301, 100)]
    hasty, hasty_pairs = run(late)
    assert hasty.stats.late_thermal == 2  # RGB up to 198 ms had gone when RGB at 297 ms came
    assert [p.thermal_absent for p in hasty_pairs[:7]] == ["gate"] * 7
    patient, patient_pairs = run(late, patience_ns=300 * MS)
    assert patient.stats.late_thermal == 0
    assert all(p.thermal for p in patient_pairs)


def test_reasons_for_absent_thermal() -> None:
    without = Pairer(GATE_NS, thermal=False)
    assert [p.thermal_absent for p in without.push(frame("rgb", 0))] == ["none"]
    _, shut = run([frame("thermal", 0, shutter=True), frame("rgb", 0)])
    assert [p.thermal_absent for p in shut] == ["shutter"]
    ended = Pairer(GATE_NS, thermal=True)
    ended.push(frame("thermal", 0))
    assert ended.push(frame("rgb", 60 * MS)) == []
    assert [p.skew_ns for p in ended.end("thermal")] == [-60 * MS]
    assert [p.thermal_absent for p in ended.push(frame("rgb", 500 * MS))] == ["ended"]


def test_a_camera_that_stopped_holds_no_growing_memory() -> None:
    pairer = Pairer(GATE_NS, thermal=True)
    for k in range(1000):
        pairer.push(frame("thermal", k * MS))
    assert len(pairer._thermal) == 64
    [pair] = pairer.push(frame("rgb", 500 * MS))
    assert pair.thermal_absent == "gate"
    assert pairer.stats.late_rgb == 1
    crowd = Pairer(GATE_NS, thermal=True)
    given = [pair for k in range(1000) for pair in crowd.push(frame("rgb", k))]
    assert len(given) == 1000 - 64


def test_skew_is_that_of_the_last_second() -> None:
    old = [one for t in range(0, 500, 50) for one in (frame("rgb", t * MS), frame("thermal", (t + 20) * MS))]
    new = [one for t in range(2000, 3000, 50) for one in (frame("rgb", t * MS), frame("thermal", (t + 4) * MS))]
    stats = run(old + new)[0].stats
    assert (stats.skew_median_ns, stats.skew_p95_ns) == (4 * MS, 4 * MS)
    assert run([])[0].stats.skew_median_ns is None


def test_a_negative_gate_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        Pairer(-1, thermal=True)


def repeated(seconds: tuple[float, float], fps: float = 8.7) -> list[Frame]:
    """Thermal frames of 12 s, the same picture from one second to the other."""
    times, (a, b) = np.arange(round(12 * fps)) / fps, seconds
    return [frame("thermal", round(t * 1e9), picture=-1 if a <= t < b else k) for k, t in enumerate(times)]


def why_absent(thermal: list[Frame]) -> dict[int, str]:
    """Why RGB frames at 10 Hz have no thermal frame, by tenth of a second."""
    rgb = [frame("rgb", k * 100 * MS) for k in range(115)]
    _, pairs = run(sorted(thermal + rgb, key=lambda one: one.pts_ns))
    return {p.rgb.pts_ns // (100 * MS): p.thermal_absent for p in pairs}


def test_a_picture_that_stays_is_a_shutter_without_telemetry_and_a_stream_that_hangs_when_it_stays_longer() -> None:
    shut = why_absent(repeated((4.0, 6.0)))
    assert {tenth for tenth, why in shut.items() if why == "shutter"} == set(range(45, 61))
    assert set(shut.values()) == {"", "shutter"}
    frozen = why_absent(repeated((2.0, 12.0)))
    assert {why for tenth, why in frozen.items() if tenth < 23} == {""}
    assert {why for tenth, why in frozen.items() if 26 <= tenth < 70} == {"shutter"}
    assert {why for tenth, why in frozen.items() if tenth > 73} == {"frozen"}


def test_a_link_that_repeats_pictures_to_fill_its_rate_is_no_shutter() -> None:
    filled = [frame("thermal", round(k / 27 * 1e9), picture=k // 3) for k in range(324)]
    assert set(why_absent(filled).values()) == {""}
    slow = [
        frame("thermal", round(k / 2 * 1e9), picture=k // 2) for k in range(30)
    ]  # two pictures a second, each twice
    assert "shutter" not in why_absent(slow).values()


@settings(max_examples=100, deadline=None)
@given(streams("rgb"), streams("thermal"), st.integers(-400, 400), st.floats(-500.0, 500.0))
def test_with_a_known_offset_the_pairs_are_those_of_the_moved_stamps(
    rgb: list[Frame], thermal: list[Frame], offset_ms: int, drift_ppm: float
) -> None:
    offset = TimeOffset(offset_ms=offset_ms, drift_ppm=drift_ppm)
    kept_rgb, kept_thermal = rising(rgb), rising(thermal)
    merged = sorted(kept_rgb + kept_thermal, key=lambda one: one.pts_ns)
    pairer = Pairer(GATE_NS, thermal=True, offset=offset)
    pairs = [pair for one in merged for pair in pairer.push(one)] + pairer.finish()
    start_ns = merged[0].pts_ns if merged else 0
    moved = [replace(one, pts_ns=offset.to_rgb_ns(one.pts_ns, start_ns)) for one in kept_thermal]
    assert rows(pairs) == brute(kept_rgb, moved, GATE_NS)


def test_the_skew_is_that_after_the_offset() -> None:
    late = [one for t in range(0, 3000, 50) for one in (frame("rgb", t * MS), frame("thermal", (t + 104) * MS))]
    plain, known = (Pairer(GATE_NS, thermal=True, offset=TimeOffset(offset_ms=offset_ms)) for offset_ms in (0.0, 100.0))
    for one in sorted(late, key=lambda one: one.pts_ns):
        plain.push(one)
        known.push(one)
    assert (plain.stats.skew_median_ns, known.stats.skew_median_ns) == (4 * MS, 4 * MS)
    assert [known.newest_ns(kind) for kind in ("rgb", "thermal")] == [2950 * MS, 2954 * MS]
