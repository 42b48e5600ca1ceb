"""The table of what stated uncertainties are worth, on errors that are known."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from training.yardstick.measure import CUES, Row
from training.yardstick.sources import MAIN
from training.yardstick.stated import STATED_HEAD, StatedLine, stated_cells, stated_from_rows

CHAIN = f"{MAIN}{CUES}"


def rows(
    data: str, rate: str, errors: np.ndarray, stated: np.ndarray, state: str = "ok", method: str = CHAIN
) -> list[Row]:
    plain = Row(data, "", rate, 0.0, 60.0, is_due=True, method=method, estimate=60.0, state=state)
    return [
        msgspec.structs.replace(plain, recording=f"{data}-{i % 4}", value=60.0 + error, uncertainty=uncertainty)
        for i, (error, uncertainty) in enumerate(zip(errors.tolist(), stated.tolist(), strict=True))
    ]


def drawn(count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Errors that are as large as is stated."""
    rng = np.random.default_rng(5)
    stated = rng.uniform(0.2, 1.0, count)
    return stated * rng.standard_normal(count), stated


def line(lines: list[StatedLine], data: str, part: str = "all", rate: str = "hr") -> StatedLine:
    [found] = [one for one in lines if (one.data, one.part, one.rate) == (data, part, rate)]
    return found


def test_what_is_stated_rightly_is_within_one_in_68_and_within_two_in_95_of_100() -> None:
    figures = line(stated_from_rows(rows("moderate", "hr", *drawn())), "moderate").figures
    assert figures.within_one == pytest.approx(0.68, abs=0.03)
    assert figures.within_two == pytest.approx(0.95, abs=0.02)
    assert figures.stated_rms == pytest.approx(figures.error_rms, rel=0.05)


def test_what_is_stated_too_small_tells_by_how_much() -> None:
    errors, stated = drawn()
    figures = line(stated_from_rows(rows("moderate", "rr", errors, stated / 4.0)), "moderate", rate="rr").figures
    assert figures.times_68 == pytest.approx(4.0, rel=0.06)
    assert figures.times_95 == pytest.approx(8.0, rel=0.06)
    assert figures.within_one < 0.25


def test_data_stand_alone_and_together_and_thirds_are_by_what_is_stated() -> None:
    errors, stated = drawn(300)
    shown = [*rows("hard", "hr", errors, stated), *rows("moderate", "hr", errors / 2.0, stated / 2.0)]
    lines = stated_from_rows(shown)
    assert [(one.data, one.part) for one in lines] == [
        ("hard", "all"), ("moderate", "all"), ("all", "all"), ("all", "least stated"), ("all", "middle"),
        ("all", "most stated"),
    ]  # fmt: skip
    assert [one.figures.values for one in lines] == [300, 300, 600, 200, 200, 200]
    assert [one.recordings for one in lines[:3]] == [4, 4, 8]
    least, middle, most = (one.figures for one in lines[3:])
    assert least.stated_rms < middle.stated_rms < most.stated_rms
    assert least.error_rms < most.error_rms
    assert all(len(cells) == len(STATED_HEAD) for cells in stated_cells(lines))


def test_only_ok_values_of_whole_chains_count() -> None:
    errors, stated = drawn(30)
    others = [
        *rows("hard", "hr", errors, stated, state="low_quality"),
        *rows("hard", "hr", errors, stated, method=MAIN, state="lost"),
        *rows("hard", "hr", errors, 0.0 * stated),
    ]
    assert stated_from_rows(others) == []
