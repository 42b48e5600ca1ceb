from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.sinks.outbox import Message, Outbox

S = 10**9


def numerics(number: int, made_s: float) -> Message:
    return Message("live", b"%d" % number, round(made_s * S), lifetime_ns=10 * S, history="history")


def wave(number: int, made_s: float) -> Message:
    return Message("wave", b"%d" % number, round(made_s * S), qos=0, lifetime_ns=5 * S)


def drained(box: Outbox, now_s: float) -> list[tuple[str, int]]:
    out = []
    while (message := box.take(round(now_s * S))) is not None:
        out.append((message.topic, int(message.payload)))
    return out


def test_fresh_messages_go_first_and_late_ones_as_history():
    box = Outbox()
    box.put(numerics(1, 0.0))
    box.put(wave(2, 0.0))
    box.put(Message("event", b"3", 0))
    box.put(numerics(4, 12.0))
    assert drained(box, 12.0) == [("event", 3), ("live", 4), ("history", 1)]
    assert (box.dropped, box.lost, len(box)) == (1, 0, 0)


def test_at_exactly_its_lifetime_a_message_is_late():
    box = Outbox()
    box.put(numerics(1, 0.0))
    box.put(numerics(2, 0.001))
    assert drained(box, 10.0) == [("live", 2), ("history", 1)]


def test_what_was_not_confirmed_comes_back_in_front_and_in_order():
    box = Outbox()
    for number in range(4):
        box.put(numerics(number, 0.0))
    taken = [box.take(0) for _ in range(2)]
    box.give_back(message for message in taken if message is not None)
    assert drained(box, 1.0) == [("live", number) for number in range(4)]


def test_unconfirmed_history_stays_history():
    box = Outbox()
    box.put(numerics(0, 0.0))
    late = box.take(11 * S)
    assert late is not None
    box.give_back([late])
    assert drained(box, 12.0) == [("history", 0)]


def test_an_event_is_never_late_and_waits_in_the_backlog_when_there_are_many():
    box = Outbox(fresh_limit=1)
    for number in range(3):
        box.put(Message("event", b"%d" % number, 0))
    assert drained(box, 3600.0) == [("event", 2), ("event", 0), ("event", 1)]
    assert box.dropped == 0


def test_full_queues_give_up_the_oldest_and_count_them():
    box = Outbox(fresh_limit=2, backlog_limit=3)
    for number in range(10):
        box.put(numerics(number, 0.0))
    assert len(box) == 5
    assert (box.dropped, box.lost) == (5, 5)
    assert drained(box, 1.0) == [("live", 8), ("live", 9), ("history", 5), ("history", 6), ("history", 7)]


@given(
    steps=st.lists(st.tuples(st.sampled_from(["numerics", "wave", "take", "fail"]), st.floats(0, 8)), max_size=60),
    limits=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_every_message_is_delivered_or_counted_and_nothing_late_is_live(steps, limits):
    box, now, put, delivered = Outbox(*limits), 0.0, 0, 0
    for what, pause in steps:
        now += pause
        if what in {"numerics", "wave"}:
            box.put((numerics if what == "numerics" else wave)(put, now))
            put += 1
        elif (message := box.take(round(now * S))) is not None:
            assert message.topic == "history" or round(now * S) - message.made_ns < (message.lifetime_ns or 0)
            if what == "fail":
                box.give_back([message])
            else:
                delivered += 1
        assert put == delivered + box.dropped + len(box)
    box.clear()
    assert put == delivered + box.dropped
