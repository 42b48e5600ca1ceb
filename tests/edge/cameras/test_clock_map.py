"""The mapping against clocks whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cameras.clock_map import DRIFT_FROM_S, IN_PACE, MOST_WAITING, SPAN_S, STEP_NS, Backlog, ClockMap, Unwrapped

S, MS = 10**9, 10**6


def sender(
    seconds: float, *, ppm: float, jitter_ms: float, outliers: float, seed: int, fps: float = 30.0, base_ms: float = 8.0
) -> Iterator[tuple[int, int, int]]:
    """True capture time, sender's stamp, arrival; arrivals keep their order, as TCP does."""
    rng = np.random.default_rng(seed)
    arrived_ns = 0
    for n in range(int(seconds * fps)):
        true_ns = 5_000 * S + round(n * S / fps)
        own_ns = 77 * S + round((true_ns - 5_000 * S) / (1 + ppm * 1e-6))
        delay_ms = base_ms + rng.exponential(jitter_ms) + (rng.uniform(50, 400) if rng.random() < outliers else 0.0)
        arrived_ns = max(arrived_ns + 1, true_ns + round(delay_ms * MS))
        yield true_ns, own_ns, arrived_ns


@settings(max_examples=25)
@given(
    ppm=st.floats(-200, 200),
    jitter_ms=st.floats(0, 20),
    outliers=st.floats(0, 0.05),
    fps=st.sampled_from([8.7, 25.0, 30.0]),
    seed=st.integers(0, 10**6),
)
def test_drift_and_offset_are_found_under_jitter_and_outliers(
    ppm: float, jitter_ms: float, outliers: float, fps: float, seed: int
) -> None:
    clock = ClockMap()
    errors_ms, last_ns = [], 0
    for true_ns, own_ns, arrival_ns in sender(100, ppm=ppm, jitter_ms=jitter_ms, outliers=outliers, seed=seed, fps=fps):
        mapped_ns = clock.monotonic_ns(own_ns, arrival_ns)
        assert last_ns < mapped_ns <= arrival_ns
        last_ns = mapped_ns
        errors_ms.append((mapped_ns - true_ns) / MS - 8.0)  # the smallest delay cannot be seen from one side
    assert clock.steps == 0
    assert clock.drift_ppm is not None
    assert abs(clock.drift_ppm - ppm) < 5 + 3 * jitter_ms
    assert np.abs(errors_ms[-len(errors_ms) // 2 :]).max() < 1 + 0.4 * jitter_ms


def test_without_jitter_drift_is_exact_and_known_after_20_s() -> None:
    for ppm in (-200.0, -37.0, 0.0, 37.0, 200.0):
        clock = ClockMap()
        for n, (_, own_ns, arrival_ns) in enumerate(sender(40, ppm=ppm, jitter_ms=0, outliers=0, seed=0)):
            clock.monotonic_ns(own_ns, arrival_ns)
            if n < (DRIFT_FROM_S - 1) * 30:
                assert clock.drift_ppm is None
        assert clock.drift_ppm is not None
        assert abs(clock.drift_ppm - ppm) < 0.1


def test_the_spacing_of_stamps_is_the_senders_and_not_the_networks() -> None:
    clock = ClockMap()
    runs = list(sender(60, ppm=50, jitter_ms=15, outliers=0.02, seed=4))
    mapped = [clock.monotonic_ns(own_ns, arrival_ns) for _, own_ns, arrival_ns in runs]
    spacing_ms = np.diff(mapped)[60:] / MS
    assert np.abs(spacing_ms - 1000 / 30).max() < 2.0
    assert spacing_ms.std() < 0.2
    assert np.diff([arrival_ns for _, _, arrival_ns in runs]).std() / MS > 10


@settings(max_examples=12)
@given(step_s=st.floats(-3600, 3600).filter(lambda s: abs(s) > 2 * STEP_NS / S), seed=st.integers(0, 10**6))
def test_a_sender_that_sets_its_clock_is_found_again(step_s: float, seed: int) -> None:
    clock = ClockMap()
    errors_ms, last_ns = [], 0
    for n, (true_ns, own_ns, arrival_ns) in enumerate(sender(60, ppm=30, jitter_ms=3, outliers=0.01, seed=seed)):
        stepped_ns = own_ns + (round(step_s * S) if n >= 900 else 0)
        mapped_ns = clock.monotonic_ns(stepped_ns, arrival_ns)
        assert mapped_ns <= arrival_ns
        if mapped_ns > last_ns:  # others are left out by who takes them
            last_ns = mapped_ns
            errors_ms += [abs(mapped_ns - true_ns) / MS] * (n >= 900 + 5 * 30)  # 3 s to be sure, 2 s to settle
    assert clock.steps == 1
    assert len(errors_ms) > 700
    assert max(errors_ms) < 30


def test_a_stall_of_the_network_is_no_step() -> None:
    clock = ClockMap()
    for n, (true_ns, own_ns, arrival_ns) in enumerate(sender(60, ppm=0, jitter_ms=2, outliers=0, seed=2)):
        held_ns = max(arrival_ns, 5_032 * S + n) if 5_030 * S < true_ns < 5_032 * S else arrival_ns
        mapped_ns = clock.monotonic_ns(own_ns, held_ns)
        if true_ns > 5_010 * S:
            assert abs(mapped_ns - true_ns) < 15 * MS
    assert clock.steps == 0


def test_a_burst_of_old_pictures_at_the_start_does_not_reach_into_the_future() -> None:
    """A server begins with the last whole picture and all since: two seconds in a moment."""
    clock = ClockMap()
    for n in range(300):
        own_ns, true_ns = round(n * S / 30), 900 * S + round(n * S / 30)
        arrival_ns = max(true_ns + 10 * MS, 902 * S + n * MS // 10)
        mapped_ns = clock.monotonic_ns(own_ns, arrival_ns)
        assert mapped_ns <= arrival_ns
        if n > 90:
            assert abs(mapped_ns - true_ns) < 60 * MS


@given(waiting=st.integers(0, 200), jitter_ms=st.floats(0, 10), seed=st.integers(0, 10**6))
def test_what_had_waited_is_told_and_nothing_after_it(waiting: int, jitter_ms: float, seed: int) -> None:
    rng, backlog = np.random.default_rng(seed), Backlog()
    held = []
    for n in range(waiting + 100):
        delay_ns = round(rng.uniform(0, jitter_ms) * MS)
        arrival_ns = 500 * S + max(waiting, n) * S // 30 + delay_ns if n >= waiting else 500 * S + n * MS
        held.append(backlog.holds(None if n == 0 else 7 * S + n * S // 30, arrival_ns))
    assert held[: waiting or 1] == [True] * (waiting or 1)
    assert not any(held[waiting + IN_PACE + 2 :])


def test_a_sender_that_is_always_fast_is_believed_in_the_end() -> None:
    backlog = Backlog()
    assert sum(backlog.holds(n * S // 30, n * MS) for n in range(2 * MOST_WAITING)) == MOST_WAITING - 1


def test_memory_is_bounded() -> None:
    clock = ClockMap()
    for n in range(4 * SPAN_S):
        clock.monotonic_ns(n * S, 5 * S + n * S)
    assert len(clock._points) == SPAN_S


@given(st.lists(st.integers(-1000, 30_000), min_size=1, max_size=50), st.integers(0, 2**16 - 1))
def test_a_counter_of_16_bits_never_wraps(steps: list[int], start: int) -> None:
    counter = Unwrapped(16)
    true = start
    assert counter.next(start) == start
    for step in steps:
        true += step
        assert counter.next(true % 2**16) == true
