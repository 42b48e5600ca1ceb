from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.sinks.outbox import Message, Outbox
from edge.sinks.outbox_store import Store

S = 10**9


def numerics(number: int, made_s: float) -> Message:
    return Message("live", b"%d" % number, round(made_s * S), lifetime_ns=10 * S, history="history")


def wave(number: int, made_s: float) -> Message:
    return Message("wave", b"%d" % number, round(made_s * S), qos=0, lifetime_ns=5 * S)


def event(number: int) -> Message:
    return Message("event", b"%d" % number, 0)


def in_memory(fresh_limit: int = 1000, limit_bytes: int = 2**22) -> Outbox:
    """``limit_bytes`` 0 gives the smallest that works: 16 pages, some 1,500 of these messages."""
    box = Outbox(Store(None, limit_bytes), fresh_limit)
    box.open()
    return box


def take(box: Outbox, now_s: float) -> Message | None:
    return box.take_fresh(round(now_s * S)) or box.take_backlog()


def drained(box: Outbox, now_s: float) -> list[tuple[str, int]]:
    out = []
    while (message := take(box, now_s)) is not None:
        out.append((message.topic, int(message.payload)))
        box.confirm(message, round(now_s * S))
    return out


def test_fresh_messages_go_first_and_late_ones_as_history():
    box = in_memory()
    box.put(numerics(1, 0.0))
    box.put(wave(2, 0.0))
    box.put(event(3))
    box.put(numerics(4, 12.0))
    assert drained(box, 12.0) == [("event", 3), ("live", 4), ("history", 1)]
    assert (box.dropped, box.lost, len(box)) == (1, 0, 0)


def test_at_exactly_half_its_lifetime_a_message_is_late():
    box = in_memory()
    box.put(numerics(1, 0.0))
    box.put(numerics(2, 0.001))
    assert drained(box, 5.0) == [("live", 2), ("history", 1)]


def test_what_was_not_confirmed_comes_back_in_front_and_in_order():
    box = in_memory()
    for number in range(4):
        box.put(numerics(number, 0.0))
    taken = [box.take_fresh(0) for _ in range(2)]
    box.give_back(message for message in taken if message is not None)
    assert drained(box, 1.0) == [("live", number) for number in range(4)]


def test_what_comes_back_after_the_end_is_counted_when_it_is_nowhere_else():
    box = in_memory()
    box.put(event(1))
    box.put(wave(2, 0.0))
    under_way = [message for message in (box.take_fresh(0), box.take_fresh(0)) if message is not None]
    in_memory_only = Message("event", b"3", 0)  # as when the disk was full
    assert (box.close(), box.lost) == (0, 1), "the event was in a store that goes with the process"
    box.give_back([*under_way, in_memory_only])
    assert (box.lost, box.dropped) == (2, 3)


def test_unconfirmed_history_stays_history_and_keeps_its_place():
    box = in_memory()
    for number in range(3):
        box.put(numerics(number, 0.0))
    assert box.take_fresh(11 * S) is None
    late = [box.take_backlog() for _ in range(2)]
    box.give_back(message for message in reversed(late) if message is not None)
    assert drained(box, 12.0) == [("history", 0), ("history", 1), ("history", 2)]


def test_an_event_is_never_late_and_waits_in_the_backlog_when_there_are_many():
    box = in_memory(fresh_limit=1)
    for number in range(3):
        box.put(event(number))
    assert drained(box, 3600.0) == [("event", 2), ("event", 0), ("event", 1)]
    assert box.dropped == 0


def test_what_is_on_its_way_is_not_sent_a_second_time_as_backlog():
    box = in_memory()
    box.put(numerics(0, 0.0))
    on_its_way = box.take_fresh(0)
    assert on_its_way is not None
    box.put(numerics(1, 0.0))
    assert box.take_backlog() is None
    assert len(box) == 2
    box.confirm(on_its_way, 0)
    assert (len(box), box.take_backlog()) == (1, None)


def test_a_full_outbox_gives_up_the_oldest_measurements_and_no_event():
    box = in_memory(fresh_limit=1, limit_bytes=0)
    events = [0, 1, *range(500, 505)]
    for number in range(3000):
        assert box.put(event(number) if number in events else numerics(number, 0.0))
    sent = drained(box, 20.0)
    history = [number for topic, number in sent if topic == "history"]
    assert [number for topic, number in sent if topic == "event"] == events
    assert 0 < box.lost == box.dropped == 3000 - len(sent)
    assert history == [number for number in range(3000) if number not in events][-len(history) :]


def test_when_all_is_events_new_ones_are_kept_in_memory_and_said_to_be_so(caplog):
    box = in_memory(fresh_limit=3000, limit_bytes=0)
    kept = sum(box.put(Message("event", b"%d" % number * 40, 0)) for number in range(3000))
    assert 100 < kept < 3000
    assert len(box) == 3000
    assert len([record for record in caplog.records if "in memory only" in record.message]) == 1


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["numerics", "wave", "event", "take", "fail", "settle"]), st.floats(0, 8)),
        max_size=60,
    ),
    limit=st.integers(1, 4),
)
def test_every_message_is_delivered_or_counted_and_nothing_late_is_live(steps, limit):
    box, now, put, delivered = in_memory(limit), 0.0, 0, 0
    for what, pause in steps:
        now += pause
        if what in {"numerics", "wave", "event"}:
            box.put(event(put) if what == "event" else (numerics if what == "numerics" else wave)(put, now))
            put += 1
        elif what == "settle":
            box.settle(round(now * S))
        elif (message := take(box, now)) is not None:
            assert message.topic in {"history", "event"} or 2 * (round(now * S) - message.made_ns) < (
                message.lifetime_ns or 0
            )
            if what == "fail":
                box.give_back([message])
            else:
                box.confirm(message, round(now * S))
                delivered += 1
        assert put == delivered + box.dropped + len(box)
    assert box.close() == 0
    assert put == delivered + box.dropped
