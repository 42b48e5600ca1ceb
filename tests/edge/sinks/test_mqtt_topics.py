"""For how long a message is worth delivering as live."""

from __future__ import annotations

import dataclasses

import pytest

from edge.sinks.mqtt_topics import message_from_record
from edge.vitals import Estimate

ROOT = "vitals/1/ward/kit-7"
S = 10**9


@pytest.mark.parametrize(("age_ms", "leaves_within_s"), [(240, 4.88), (6_000, 2.0), (9_900, 0.05)])
def test_a_held_value_has_as_much_less_time_as_it_is_older(factory, vitals, age_ms, leaves_within_s):
    hold = Estimate(71.8, 0.5, "hold", ("motion",), 10.0, age_ms, 0.9)
    record = factory.numerics(dataclasses.replace(vitals, hr=hold))
    message = message_from_record(record, ROOT)
    made_ns = record.mono_ns
    assert not message.is_late(made_ns + round(leaves_within_s * S) - 1)
    assert message.is_late(made_ns + round(leaves_within_s * S))
    assert message.left_ns(made_ns) == (10_000 - age_ms) * 10**6


def test_without_a_value_numerics_have_ten_seconds_and_events_all_time(factory, vitals):
    lost = Estimate(None, 0.0, "lost", ("motion",), 10.0, 60_000, None)
    record = factory.numerics(dataclasses.replace(vitals, hr=lost, rr=lost))
    assert message_from_record(record, ROOT).lifetime_ns == 10 * S
    assert message_from_record(factory.event("rr_state", "notice", "x", zone="main"), ROOT).lifetime_ns is None
