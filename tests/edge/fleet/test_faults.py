"""``--faults`` as typed."""

from __future__ import annotations

import pytest

from edge.errors import UsageError
from edge.fleet.faults import Faults, faults_from_text


def test_faults_are_read() -> None:
    assert faults_from_text("") == Faults()
    assert faults_from_text("restarts=60,cuts=20:3") == Faults(60.0, 20.0, 3.0)
    assert faults_from_text("cuts=10") == Faults(0.0, 10.0, 3.0)


@pytest.mark.parametrize("text", ["restart=60", "restarts=x", "cuts=", "cuts=2:3", "restarts=0.5", "restarts=9:3"])
def test_others_are_refused_with_the_form(text: str) -> None:
    with pytest.raises(UsageError, match=r"want restarts=60,cuts=20:3"):
        faults_from_text(text)
