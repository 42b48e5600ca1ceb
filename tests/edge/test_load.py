from __future__ import annotations

import os
import resource

from edge.load import DeviceLoad


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
