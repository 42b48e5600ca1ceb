"""Made-up patients."""

from __future__ import annotations

import pytest

from edge.fleet.script import Patient
from edge.vitals import HR_BAND, RR_BAND


def test_the_same_seed_and_number_make_the_same_patient_and_others_another() -> None:
    one, again, other, elsewhere = Patient(1, 2), Patient(1, 2), Patient(1, 3), Patient(2, 2)
    assert [one.seen(s) for s in range(50)] == [again.seen(s) for s in range(50)]
    assert len({p.truth(7.0).hr_per_min for p in (one, again, other, elsewhere)}) == 3


@pytest.mark.parametrize("number", range(20))
def test_truth_stays_within_the_bands_and_evidence_near_it(number: int) -> None:
    patient = Patient(0, number)
    for second in range(600):
        truth = patient.truth(second)
        assert HR_BAND.low_per_min < truth.hr_per_min < HR_BAND.high_per_min
        assert RR_BAND.low_per_min < truth.rr_per_min < RR_BAND.high_per_min
        _, hr, _, rr = patient.seen(second)
        assert hr.rate_per_min == pytest.approx(truth.hr_per_min, abs=5.0)
        assert rr.rate_per_min == pytest.approx(truth.rr_per_min, abs=2.0)


def test_mishaps_of_every_kind_come() -> None:
    seen = {
        (hr.state, rr.state, evidence.why)
        for n in range(10)
        for hr, evidence, rr, _ in map(Patient(5, n).seen, range(900))
    }
    assert {state for state, _, _ in seen} == {None, "no_face", "camera_lost"}
    assert "thermal_lost" in {state for _, state, _ in seen}
    assert {("motion",), ("weak_signal",)} <= {why for _, _, why in seen}
