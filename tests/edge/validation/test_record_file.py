from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge.errors import InputError, UsageError
from edge.sinks.factory import RecordFactory
from edge.sinks.records import Numerics, encode
from edge.validation.record_file import looks_from_numerics, numerics_of_one, records_from_jsonl

WALL0_S = 1_795_342_507.0


def five(lab: Any, first: float = 0.0, **run: Any) -> None:
    lab.run([(first + i, lab.ok(70.0 + i), lab.lost()) for i in range(5)], **run)


def chosen(lab: Any, zone: str | None = None, person: int | None = None) -> list[Numerics]:
    return numerics_of_one(records_from_jsonl(lab.records).numerics, zone, person)


def test_other_records_are_passed_over_and_the_hash_is_of_the_whole_file(lab: Any) -> None:
    five(lab)
    factory = RecordFactory("kit-7")
    with lab.records.open("ab") as file:
        file.write(encode(factory.status("online", "started")) + b"\n\n")
        file.write(encode(factory.event("input_ended", "info", "the end")) + b"\n")
    read = records_from_jsonl(lab.records)
    assert [one.hr.value for one in read.numerics] == [70.0, 71.0, 72.0, 73.0, 74.0]
    assert read.torn == 0
    assert read.source.sha256 == hashlib.sha256(lab.records.read_bytes()).hexdigest()


def test_lines_that_were_cut_short_are_counted(lab: Any) -> None:
    five(lab, boot="0" * 16)
    whole = lab.records.read_bytes()
    torn = whole.splitlines()[0][:200]
    lab.records.write_bytes(torn + b"\n" + whole + torn)
    read = records_from_jsonl(lab.records)
    assert (len(read.numerics), read.torn) == (5, 2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty; want records of mmrphys run --sink jsonl:FILE"),
        (b"time;hr\nnow;70\n\0\0\0\0", "holds no numerics records"),
        (b"time,hr\n1,70\n", "kit.jsonl:2: no record of version 1: Expected `object`"),
        (b'{"v":1}\n', "kit.jsonl:1: no record of version 1"),
    ],
)
def test_other_files_are_told_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "kit.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        records_from_jsonl(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory"):
        records_from_jsonl(tmp_path)


def test_records_that_came_twice_count_once_and_in_order(lab: Any) -> None:
    five(lab)
    lines = lab.records.read_bytes().splitlines()
    lab.records.write_bytes(b"\n".join([lines[1], *lines, lines[0]]))
    assert [one.seq for one in chosen(lab)] == [0, 1, 2, 3, 4]


def test_a_zone_and_a_person_are_chosen(lab: Any) -> None:
    five(lab, zone="bed-1")
    five(lab, zone="bed-2")
    five(lab, zone="bed-2", person=3)
    with pytest.raises(
        UsageError, match=r"several zones: bed-2 \(10 looks\), bed-1 \(5 looks\); choose one with --zone"
    ):
        chosen(lab)
    with pytest.raises(UsageError, match=r"several persons: 0 .* choose one with --person"):
        chosen(lab, "bed-2")
    with pytest.raises(UsageError, match="--zone bed-9: the records hold no such zone"):
        chosen(lab, "bed-9")
    with pytest.raises(UsageError, match=r"--person 1: the records hold no such person"):
        chosen(lab, "bed-1", 1)
    assert {(one.zone, one.person) for one in chosen(lab, "bed-2", 3)} == {("bed-2", 3)}
    assert len(chosen(lab, "bed-1")) == 5


def test_two_devices_have_two_clocks(lab: Any) -> None:
    five(lab)
    five(lab, device="kit-8")
    with pytest.raises(InputError, match="of 2 devices"):
        chosen(lab)


def test_runs_of_a_live_kit_stand_on_its_clock(lab: Any) -> None:
    five(lab, 100.0)
    five(lab, 0.0)
    looks = looks_from_numerics(chosen(lab))
    assert looks.live
    assert looks.notices == ()
    np.testing.assert_allclose(looks.time_s - WALL0_S, [0, 1, 2, 3, 4, 100, 101, 102, 103, 104], atol=2e-3)
    np.testing.assert_equal(looks.rates["hr"].value, [70.0, 71.0, 72.0, 73.0, 74.0] * 2)
    assert np.isnan(looks.rates["rr"].value).all()
    assert looks.rates["rr"].why == (("motion",),) * 10


def test_a_clock_that_is_set_does_not_tear_a_run(lab: Any) -> None:
    five(lab, boot="0" * 16)
    records = chosen(lab)
    early = msgspec.structs.replace(records[0], time="2026-11-22T08:00:00.000Z", clock="free")
    looks = looks_from_numerics([early, *records[1:]])
    np.testing.assert_allclose(looks.time_s - WALL0_S, [0, 1, 2, 3, 4], atol=2e-3)
    assert any("clock: free" in notice for notice in looks.notices)
    assert any("was set while it ran" in notice for notice in looks.notices)


def test_a_file_played_fast_has_stream_time_only(lab: Any) -> None:
    looks = [(float(i), lab.ok(70.0), lab.lost()) for i in range(60)]
    lab.run(looks, pace=10.0)
    read = looks_from_numerics(chosen(lab))
    assert not read.live
    np.testing.assert_allclose(read.time_s, 5000.0 + np.arange(60.0))
    assert "time of day means nothing" in read.notices[0]
    lab.run(looks, pace=10.0)
    with pytest.raises(InputError, match="hold 2 runs, 2 of them over files"):
        looks_from_numerics(chosen(lab))
