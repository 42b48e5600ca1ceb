from __future__ import annotations

from edge.sinks.drain import Drain

MS = 10**6


def sent_within(drain: Drain, seconds: float) -> int:
    """How many go when each is confirmed at once and one asks every millisecond."""
    sent = 0
    for ms in range(round(1000 * seconds)):
        while drain.allows(0, ms * MS):
            drain.sent()
            drain.confirmed(MS)
            sent += 1
    return sent


def test_no_more_than_so_many_a_second_but_for_a_first_burst():
    assert 1000 <= sent_within(Drain(100, per_s=500.0), 2.0) <= 1100


def test_late_confirmations_shrink_the_window_to_one_and_timely_ones_let_it_grow():
    drain = Drain(20)
    assert drain.window == 2  # a slow line would be full of a first burst
    for _ in range(1000):
        drain.confirmed(20 * MS)
    for window in (10, 5, 2, 1, 1):
        drain.confirmed(501 * MS)
        assert drain.window == window
    assert drain.allows(0, 0)
    assert not drain.allows(1, 0)
    for _ in range(1000):
        drain.confirmed(20 * MS)
    assert drain.window == 20


def test_a_broker_that_takes_one_at_a_time_gets_one_at_a_time():
    drain = Drain(1)
    assert (drain.allows(0, 0), drain.allows(1, 0)) == (True, False)
