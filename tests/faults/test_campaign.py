"""The short version of every fault campaign: each promise held, or the reason why it could not be tried."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.campaign import CAMPAIGNS, run_one


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_what_is_promised_holds(name: str, tmp_path: Path) -> None:
    finding = run_one(name, tmp_path, full=False)
    if finding.skipped:
        pytest.skip(finding.skipped)
    assert finding.failures == ()
    assert finding.rounds > 0
