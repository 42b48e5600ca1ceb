from __future__ import annotations

import csv
import io
import subprocess
import sys

import pytest
from fakes.kit_records import Kit, night

from edge.cli import main
from edge.health.source import RecordSource
from edge.health.table import COLUMNS, row_from_cells
from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.records import encode


def table(path, capsys, *options: str) -> list[dict[str, str]]:
    assert main(["convert", str(path), "--to", "csv", *options, "--out", str(path.with_suffix(".csv"))]) == 0
    return list(csv.DictReader(io.StringIO(path.with_suffix(".csv").read_bytes().decode(), newline="")))


def test_csv_has_a_row_a_second_with_a_value_only_where_it_was_ok(two_runs, capsys):
    found = table(two_runs, capsys)
    assert len(found) == 37
    assert tuple(found[0]) == COLUMNS
    for row in found:
        assert (row["hr [/min]"] != "") == (row["hr state"] == "ok")
        assert (row["hr doubtful [/min]"] != "") == (row["hr state"] in {"hold", "low_quality"})
        assert row["time [UTC]"].startswith("2026-11-18T")
    assert found[9]["hr [/min]"] == "71.8"
    assert found[9]["rr why"] == "motion"
    assert "37 rows written" in capsys.readouterr().err


def test_without_out_it_goes_to_standard_output(two_runs, capfdbinary):
    assert main(["convert", str(two_runs), "--to", "csv"]) == 0
    written = capfdbinary.readouterr().out
    assert written.count(b"\r\n") == 38
    assert main(["convert", str(two_runs), "--to", "csv", "--out", str(two_runs.with_suffix(".csv"))]) == 0
    assert two_runs.with_suffix(".csv").read_bytes() == written


def test_csv_is_rfc_4180_and_no_formula():
    assert row_from_cells(['=1+1"', "a,b", None, -3.5, "@x"]) == b'"\'=1+1""","a,b",,-3.5,\'@x\r\n'


@pytest.mark.parametrize(("synced", "uptime_s", "clock"), [(False, 1.0, "free"), (True, None, "played")])
def test_csv_withholds_a_time_that_cannot_be_trusted(write, capsys, synced, uptime_s, clock):
    kit = Kit("1" * 16, synced=synced)
    (row,) = table(write(kit.health(uptime_s), kit.look()), capsys)
    assert (row["time [UTC]"], row["clock"], row["stream time [s]"]) == ("", clock, "0.0")


def test_damaged_lines_are_told_counted_and_left_out(two_runs, capsys, caplog):
    table(two_runs, capsys)
    assert "2 damaged records were left out" in capsys.readouterr().err
    assert [record.args[1] for record in caplog.records if "is no record" in record.msg] == ["line 70", "line 71"]


def test_lines_without_end_and_moments_that_do_not_exist_are_damage(write):
    kit = Kit("1" * 16)
    wrong = encode(kit.look()).replace(b"2026-11-18", b"2026-02-30") + b"\n"
    path = write(kit.look(), extra=wrong + b"x" * 3_000_000 + b"\n" + encode(kit.look()))
    source = RecordSource(path)
    assert len(list(source)) == 2
    assert source.damaged == 2


def test_a_file_that_grows_meanwhile_is_converted_as_it_was(write):
    kit = Kit("1" * 16)
    path = write(*night(kit, 5))
    seen = len(list(RecordSource(path)))
    with path.open("ab") as file:
        file.write(encode(kit.look()) + b"\n")
    assert len(list(RecordSource(path, seen))) == seen


def test_a_recording_gives_the_same_rows(write, two_runs, tmp_path, capsys):
    mcap = tmp_path / "tape.mcap"
    sink = sink_from_uri(f"mcap:{mcap}", SinkContext("kit-7"))
    sink.open()
    for number, record in enumerate(RecordSource(two_runs)):
        sink.write(record, number)
    sink.close()
    rows = table(two_runs, capsys)
    assert table(mcap, capsys) == rows
    mcap.write_bytes(mcap.read_bytes()[:-2000])
    assert main(["convert", str(mcap), "--to", "csv", "--out", str(tmp_path / "cut.csv")]) in {0, 3}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--to", "edf"], 2, "add --out FILE.edf"),
        (["--to", "csv", "--zone", "bed-9"], 2, "no such zone; seen main"),
        (["--to", "csv", "--out", "{there}"], 2, "it exists"),
        (["--to", "pdf"], 2, "pdf"),
    ],
)
def test_wrong_usage_is_one_line(two_runs, capsys, arguments, code, said):
    assert main(["convert", str(two_runs), *[word.format(there=two_runs) for word in arguments]]) == code
    assert said in capsys.readouterr().err


def test_a_file_of_another_kind_is_refused(tmp_path, capsys):
    other = tmp_path / "x.csv"
    other.write_bytes(b"time,hr\n1,72\n")
    assert main(["convert", str(other), "--to", "csv"]) == 3
    assert main(["convert", str(tmp_path / "missing"), "--to", "csv"]) == 3
    assert capsys.readouterr().out == ""


def test_what_failed_leaves_nothing_behind(two_runs, tmp_path, monkeypatch, capsys):
    from edge.health import table as module

    def broken(*_: object) -> list[bytes]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "rows", broken)
    assert main(["convert", str(two_runs), "--to", "csv", "--out", str(tmp_path / "out.csv")]) == 5
    assert "make room" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"night.jsonl"}


def test_a_day_is_converted_in_little_memory(tmp_path):
    """Ten times the records need no more memory; in a process of its own, for its peak."""
    peak = {}
    for seconds in (500, 5_000):
        path = tmp_path / f"{seconds}.jsonl"
        kit = Kit("1" * 16)
        with path.open("wb") as file:
            file.writelines(encode(record) + b"\n" for record in night(kit, seconds))
        code = (
            "import resource, sys; from edge.cli import main; "
            f"assert main(['convert', {str(path)!r}, '--to', 'csv', '--out', {str(path) + '.csv'!r}]) == 0; "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peak[seconds] = int(done.stdout)
    assert peak[5_000] < peak[500] + 8_000, f"KiB: {peak}"
