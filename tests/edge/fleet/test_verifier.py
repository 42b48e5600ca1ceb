"""The counts of the verifier, on records that are lost, late, doubled and foreign on purpose."""

from __future__ import annotations

import msgspec
import pytest

from edge.fleet.verifier import Ledger, percentile
from edge.sinks.factory import RecordFactory
from edge.sinks.records import Numerics, encode
from edge.vitals import Estimate, Truth, Vitals

TOPIC = "vitals/1/ward/kit-7/bed/numerics"
HISTORY = "vitals/1/ward/kit-7/bed/history"


def numerics(factory: RecordFactory, hr: float = 72.0) -> Numerics:
    ok, lost = Estimate(hr, 0.8, "ok", (), 10.0, 0, 0.9), Estimate(None, 0.1, "lost", ("motion",), 30.0, 0, None)
    return factory.numerics(Vitals(ok, lost, 0, "bed", 0, "exact", "sha256:ab", {"rgb": 30.0}, {"rgb": 0}))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(lambda device, _: Truth(72.0, 15.0) if device == "kit-7" else None)


def test_what_is_sent_and_heard_once_is_clean(ledger: Ledger) -> None:
    record = numerics(RecordFactory("kit-7"))
    ledger.sent(record)
    assert ledger.missing == 1
    ledger.heard(TOPIC, encode(record), record.mono_ns + 30_000_000)
    verdict = ledger.verdict(kept=0)
    assert (ledger.missing, verdict.clean, verdict.duplicates) == (0, True, 0)
    assert verdict.live_ms["p50"] == pytest.approx(30.0)


def test_lost_kept_twice_and_late_are_told_apart(ledger: Ledger) -> None:
    factory = RecordFactory("kit-7")
    records = [numerics(factory) for _ in range(5)]
    for record in records:
        ledger.sent(record)
    for record in records[:2]:
        ledger.heard(TOPIC, encode(record), record.mono_ns + 3_000_000_000)
    ledger.heard(HISTORY, encode(records[0]), records[0].mono_ns + 20_000_000_000)
    verdict = ledger.verdict(kept=1)
    assert (verdict.lost, verdict.kept, verdict.duplicates, verdict.history) == (2, 1, 1, 1)
    assert (verdict.late_share, verdict.clean) == (1.0, False)


def test_the_same_number_of_another_boot_is_another_record(ledger: Ledger) -> None:
    ledger.sent(numerics(RecordFactory("kit-7", "0" * 16)))
    other = numerics(RecordFactory("kit-7", "1" * 16))
    ledger.heard(TOPIC, encode(other), other.mono_ns)
    verdict = ledger.verdict(kept=0)
    assert (verdict.lost, verdict.strange) == (1, 1)


def test_another_patients_number_is_strange(ledger: Ledger) -> None:
    record = numerics(RecordFactory("kit-7"), hr=95.0)
    ledger.sent(record)
    ledger.heard(TOPIC, encode(record), record.mono_ns)
    assert ledger.verdict(kept=0).strange == 1


def test_a_record_under_another_devices_topic_is_strange(ledger: Ledger) -> None:
    record = numerics(RecordFactory("kit-7"))
    ledger.sent(record)
    ledger.heard(TOPIC.replace("kit-7", "kit-8"), encode(record), record.mono_ns)
    assert ledger.verdict(kept=0).strange == 1


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", msgspec.json.encode({"v": 1})])
def test_what_is_no_record_is_strange(ledger: Ledger, payload: bytes) -> None:
    ledger.heard(TOPIC, payload, 0)
    assert ledger.verdict(kept=0).strange == 1


def test_percentiles_are_nearest_ranks() -> None:
    hundred = [float(n) for n in range(1, 101)]
    assert [percentile(hundred, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50.0, 95.0, 99.0, 100.0]
    assert (percentile([7.0], 0.5), percentile([], 0.5)) == (7.0, None)
