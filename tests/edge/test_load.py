from __future__ import annotations

import os
import resource
from pathlib import Path

from edge.load import DeviceLoad, hottest_degc


def test_the_load_is_that_of_this_process() -> None:
    load = DeviceLoad()
    burnt = sum(k * k for k in range(300_000))
    found = load()
    assert burnt > 0
    assert 0 < (found["cpu_share"] or 0) <= 1.05 * (os.cpu_count() or 1)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    assert 10 < (found["memory_mb"] or 0) <= 1.1 * peak_mb
    assert (found["uptime_s"] or 0) > 0
    assert found["temperature_degc"] is None or -40 < found["temperature_degc"] < 130


def test_the_hottest_zone_that_measures_is_told(tmp_path: Path) -> None:
    """As an older Jetson tells them: one that is always at 100 degC, one that is switched off and cannot be read."""
    assert hottest_degc(tmp_path) is None
    for number, (kind, temp) in enumerate([("CPU-therm", "34000"), ("PMIC-Die", "100000"), ("GPU-therm", "41500")]):
        (tmp_path / f"thermal_zone{number}").mkdir()
        (tmp_path / f"thermal_zone{number}" / "type").write_text(f"{kind}\n")
        (tmp_path / f"thermal_zone{number}" / "temp").write_text(f"{temp}\n")
    (tmp_path / "thermal_zone3").mkdir()
    (tmp_path / "thermal_zone3" / "type").write_text("cv0-thermal\n")
    assert hottest_degc(tmp_path) == 41.5
