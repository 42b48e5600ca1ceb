"""Files that pyedflib writes, read by edfio."""

from __future__ import annotations

import datetime as dt

import edfio
import numpy as np
import pytest
from fakes.kit_records import Kit, night

from edge.cli import main
from edge.health.edf import signals_of
from edge.health.edf_grid import MISSING, Grid, Signal, record_seconds
from edge.health.survey import survey_of


def converted(path, *options: str) -> list[edfio.Edf]:
    out = path.with_suffix(".edf")
    assert main(["convert", str(path), "--to", "edf", "--out", str(out), *options]) == 0
    return [edfio.read_edf(one) for one in sorted(path.parent.glob("*.edf"), key=lambda one: len(one.name))]


def annotations(edf: edfio.Edf, begin: str) -> list[tuple[float, float | None]]:
    return [(one.onset, one.duration) for one in edf.annotations if one.text.startswith(begin)]


def test_another_reader_gets_every_value_back(two_runs):
    first, second = converted(two_runs)
    assert [round(edf.duration) for edf in (first, second)] == [25, 13]
    assert first.startdate == second.startdate == dt.date(2026, 11, 18)
    assert first.starttime == dt.time(11, 6, 40)
    assert second.starttime == dt.time(13, 6, 40), "two hours later, in a file of its own"
    hr = first.get_signal("HR")
    values = [71.8 if second % 10 == 9 else 0.0 for second in range(25)]  # ok is the last of ten states
    assert hr.data == pytest.approx(values, abs=0.005)
    doubtful = [71.8 if second % 10 in (7, 8) else 0.0 for second in range(25)]
    assert first.get_signal("HR doubtful").data == pytest.approx(doubtful, abs=0.005)
    assert hr.physical_dimension == "/min"
    assert hr.prefiltering == "no value: 0"
    assert first.get_signal("HR SQI").data == pytest.approx(np.full(25, 0.82), abs=1e-4)


def test_waves_keep_their_samples_and_gaps_are_marked_never_bridged(two_runs, capsys):
    first, _ = converted(two_runs)
    assert "annotations found no room" in capsys.readouterr().err, "a state a second is too much; gaps go first"
    pleth = first.get_signal("Pleth camera")
    assert pleth.sampling_frequency == 30.0
    early = 7  # the file begins at a whole second, 0.24 s before the first sample: seven places
    given = [i % 10 / 8 - 0.5 for i in range(30)]
    for second in range(24):
        block = pleth.data[early + 30 * second :][:30]
        if second % 10 in (4, 5):
            assert (block == pleth.physical_min).all()
        else:
            expected = np.array(given)
            expected[3] = pleth.physical_min if second == 0 else expected[3]
            assert block == pytest.approx(expected, abs=1e-4)
    assert (pleth.digital[:early] == MISSING).all()
    gaps = [(0.0, 0.2333), (0.3333, 0.0333), (4.2333, 2.0), (14.2333, 2.0), (24.2333, 0.7667)]
    assert annotations(first, "gap: pleth") == gaps


def test_states_are_told_with_their_reason(two_runs):
    first, _ = converted(two_runs)
    texts = [one.text for one in first.annotations]
    assert "hr lost: motion" in texts
    assert "rr ok" in texts
    assert "start time unknown" not in texts


def test_without_a_trusted_clock_the_start_is_unknown(write):
    kit = Kit("1" * 16, synced=False)
    (edf,) = converted(write(*night(kit, 12)))
    assert edf.startdate == dt.date(1985, 1, 1)
    assert annotations(edf, "start time unknown") == [(0.0, None)]


def test_a_gap_in_the_looks_is_marked(write):
    kit = Kit("1" * 16)
    records = [kit.health()]
    for second in (*range(10), *range(40, 130)):
        kit.second = second
        records.append(kit.look())
    (edf,) = converted(write(*records))
    assert annotations(edf, "gap: looks") == [(10.0, 30.0)]
    assert edf.get_signal("HR").data[[9, 10, 39, 40]] == pytest.approx([71.8, 0, 0, 71.8], abs=0.005)


@pytest.mark.parametrize("phase_ms", [0, 499, 501, 999])
def test_looks_that_jitter_keep_a_second_each(write, phase_ms):
    kit = Kit("1" * 16)
    kit.late_ns = phase_ms * 10**6
    records = [kit.health(), kit.look()]
    for second in range(1, 30):
        kit.second = second + (0.033 if second % 2 else -0.033)
        records.append(kit.look())
    (edf,) = converted(write(*records))
    assert edf.get_signal("HR").data[:30] == pytest.approx(np.full(30, 71.8), abs=0.005)


def test_what_comes_too_late_is_counted():
    signals = [Signal("x", "", -1.0, 1.0, 1.0)]
    grid = Grid(signals, 1, 0)
    for second in range(100):
        grid.put(0, second * 10**9, (0.5,))
    assert len(list(grid.full())) == 40
    grid.put(0, 39 * 10**9, (0.5,))
    grid.put(0, 200_000 * 10**9, (0.5,))
    grid.put(0, 50 * 10**9, (0.25,))
    assert (grid.misplaced, grid.doubled) == (2, 1)
    assert [len(record[0]) for record in grid.rest()] == [1] * 60


def test_rates_share_whole_seconds_or_are_refused():
    assert record_seconds([30.0, 1.0]) == 1
    assert record_seconds([12.5, 1.0]) == 2
    assert record_seconds([29.97, 1.0]) is None


def test_a_value_never_reads_as_missing():
    signal = Signal("x", "", -2.0, 2.0, 1.0)
    digital = signal.digital([-2.0, -5.0, 2.0, None])
    assert list(digital) == [MISSING + 1, MISSING + 1, 32767, MISSING]


def test_a_file_without_a_folder_ends_with_one_line(two_runs, tmp_path, capsys):
    missing = tmp_path / "no" / "such.edf"
    assert main(["convert", str(two_runs), "--to", "edf", "--out", str(missing)]) == 2
    assert "cannot be made" in capsys.readouterr().err
    records = list(night(Kit("1" * 16), 3))
    run = survey_of(records).run_of(records[0])
    assert [signal.label for signal in signals_of(run, run.zones["main"])][:2] == ["Pleth camera", "HR"]
