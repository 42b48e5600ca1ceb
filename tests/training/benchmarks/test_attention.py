"""What the benchmark counts; what it times is printed and never asserted."""

from __future__ import annotations

import pytest
import torch

from training.benchmarks.attention import KINDS, branch_ms, compared, kept_bytes, peak_bytes


def test_the_peak_is_the_most_held_at_a_time() -> None:
    def one_after_the_other() -> None:
        for _ in range(3):
            torch.ones(1000)

    assert peak_bytes(one_after_the_other) == 4000
    assert peak_bytes(lambda: [torch.ones(1000) for _ in range(3)]) == 12000


def test_what_is_kept_for_the_backward_pass_is_counted_once() -> None:
    x, factor = torch.ones(1000, requires_grad=True), torch.ones(1000)
    assert kept_bytes(lambda: x * factor) == 4000
    assert kept_bytes(lambda: (x * factor) * factor) == 4000
    assert kept_bytes(lambda: x + factor) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_compares_the_two_forms_where_there_are_two(kind: str) -> None:
    row = compared("BVP at 9", (20, 40), kind, rounds=2)
    assert row.closed_ms[1] <= row.closed_ms[0] <= row.closed_ms[2]
    assert row.closed_memory.peak_mb > 0.0
    if KINDS[kind] > 1:
        assert row.updates_ms is row.ratio is row.difference is None
    else:
        assert row.ratio is not None
        assert row.difference is not None
        assert row.difference < 1e-5


def test_a_branch_is_timed_without_attention_and_with_either_form() -> None:
    assert list(branch_ms(rounds=1)) == ["without", "closed", "updates"]
