from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from edge.validation.reference_csv import Reference, reference_from_csv

T0 = 1_795_342_507.0


def read(tmp_path: Path, text: str | bytes) -> Reference:
    path = tmp_path / "ref.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return reference_from_csv(path)


@pytest.mark.parametrize(
    ("cell", "seconds", "zoneless"),
    [
        ("2026-11-22T10:15:07Z", T0, False),
        ("2026-11-22t10:15:07.250z", T0 + 0.25, False),
        ("2026-11-22 10:15:07.5", T0 + 0.5, True),
        ("2026-11-22T12:15:07+02:00", T0, False),
        ("2026-11-22T04:45:07.123456-0530", T0 + 0.123456, False),
        ("2026-11-22T10:15Z", T0 - 7.0, False),
        ("1795342507.25", T0 + 0.25, False),
    ],
)
def test_times_of_day(tmp_path: Path, cell: str, seconds: float, zoneless: bool) -> None:
    reference = read(tmp_path, f"time,hr\n{cell},70\n")
    assert reference.clock == "absolute"
    assert reference.time_s == pytest.approx([seconds], abs=1e-5)
    assert any("read as UTC" in notice for notice in reference.notices) == zoneless


def test_seconds_since_a_start(tmp_path: Path) -> None:
    reference = read(tmp_path, "time,hr\n5000.5,70\n5001.5,71\n")
    assert (reference.clock, reference.time_s.tolist()) == ("relative", [5000.5, 5001.5])


@pytest.mark.parametrize(
    "text",
    [
        "time,hr,rr\n1,70.5,15\n2,,\n",
        "\ufeff Time , SpO2, RR ,HR\r\n1,98,15,70.5\r\n\r\n2,98,nan,--\r\n",
        "TIME;rr;hr\n1,0;15;70,5\n2;;NaN\n",
        'time\t"hr"\trr\n1\t"70.5"\t15\n2\t\t\n',
        "time,hr,rr\n1,70.5,15\n2\n",
    ],
)
def test_ways_to_write_the_same(tmp_path: Path, text: str) -> None:
    reference = read(tmp_path, text)
    np.testing.assert_equal(reference.time_s, [1.0, 2.0])
    np.testing.assert_equal(reference.hr, [70.5, np.nan])
    np.testing.assert_equal(reference.rr, [15.0, np.nan])
    assert reference.notices == ()


def test_breathing_may_be_missing(tmp_path: Path) -> None:
    reference = read(tmp_path, "time,hr\n1,70\n")
    np.testing.assert_equal(reference.rr, [np.nan])


def test_impossible_rates_are_no_reference_and_counted(tmp_path: Path) -> None:
    reference = read(tmp_path, "time,hr,rr\n1,0,15\n2,511,0\n3,70,15\n")
    np.testing.assert_equal(reference.hr, [np.nan, np.nan, 70.0])
    np.testing.assert_equal(reference.rr, [15.0, np.nan, 15.0])
    assert reference.notices[0].startswith("3 reference cells hold no possible rate")


def test_rows_of_one_time_become_one(tmp_path: Path) -> None:
    reference = read(tmp_path, "time,hr,rr\n1,70,\n1,72,15\n1,,17\n2,80,\n")
    np.testing.assert_equal(reference.time_s, [1.0, 2.0])
    np.testing.assert_equal(reference.hr, [71.0, 80.0])
    np.testing.assert_equal(reference.rr, [16.0, np.nan])


WRONG: list[tuple[str | bytes, str]] = [
    ("", "is empty; want a CSV with a header time,hr[,rr]"),
    (" \n\n", "is empty"),
    ("time,hr\n", "has a header and no rows"),
    ("time,pulse\n1,70\n", "has no column hr; seen time, pulse"),
    ("hr\n70\n", "has no column time; seen hr"),
    ("1,70\n2,71\n", "has no column time; seen 1, 70"),
    ("time,hr,HR\n1,70,70\n", "has 2 columns hr; want one"),
    ("time,hr\n1,70\n3,71\n2,72\n", "ref.csv:4: time goes back by 1 s; want rows in order of time"),
    ("time,hr\nyesterday,70\n", "ref.csv:2: time 'yesterday' cannot be read; want ISO 8601"),
    ("time,hr\n,70\n", "ref.csv:2: time '' cannot be read"),
    ("time,hr\n2026-02-30T10:00:00Z,70\n", "does not exist: day is out of range"),
    ("time,hr\n1795342507000,70\n", "is too large for seconds; want ISO 8601 or seconds, not ms"),
    ("time,hr\n2026-11-22T10:15:07Z,70\n12,70\n", "ref.csv:3: time '12' is of another kind"),
    ("time,hr\n1,70\n2,about 71\n", "ref.csv:3: hr 'about 71' is no number"),
    ("time,hr\n1,inf\n", "hr 'inf' is no number"),
    ("time,hr\n1,70\n".encode("utf-16"), "is not UTF-8 text"),
]


@pytest.mark.parametrize(("text", "says"), WRONG, ids=[says[:30] for _, says in WRONG])
def test_what_cannot_be_used_is_told_in_one_line(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        reference_from_csv(tmp_path / "none.csv")
