"""A pulse of 45 and one of 150 are never read at twice or half their rate, whatever light and head do meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge.bundle import load_bundle
from edge.cameras import camera_from_uri
from edge.cameras.synthetic import SyntheticCamera
from edge.faces import detector_by_name
from edge.faces.track import FaceTracker
from edge.pipeline import Options, Pipeline
from edge.runtimes.onnxrt import open_runtime
from edge.vitals import Estimate, Vitals

pytestmark = pytest.mark.scenes

SECONDS = {45: 24, 150: 15}
"""The first ``ok`` of the slow pulse comes after 17 s where the head moves too, else after 9 s."""
LEAST_OK = 3
LIGHT = "&light_drift=0.1&side_drift=0.1"
"""All light and that of one side change slowly (0.02 to 0.4 Hz), by a tenth (RMS) each."""
BREATHING_LIGHT = "&flicker=0.15&flicker_hz=0.08"
MOTION = "&sway=0.02&posture=0.03&moves_per_min=4"
"""The head sways and drifts by 2 and 3 % of the face's side (RMS), and takes another place every 15 s."""


def shown(rate: int, change: str, seed: int) -> Iterator[tuple[Estimate, float]]:
    """HR of each look at the scene, and the true mean rate of its window."""
    query = f"seconds={SECONDS[rate]}&width=480&height=360&hr={rate}&seed={seed}&nuisance=0.15{change}"
    camera = camera_from_uri(f"synthetic:?{query}", "rgb")
    assert isinstance(camera, SyntheticCamera)
    bundle = load_bundle(None)
    tracker = FaceTracker(detector_by_name("haar"))
    pipeline = Pipeline(bundle, open_runtime(bundle, "exact", "auto"), tracker, Options("main", thermal=False))
    camera.open()
    for frame in iter(camera.read, None):
        for output in pipeline.push(frame):
            if isinstance(output, Vitals):
                yield output.hr, camera.scene.mean_hr_per_min(output.pts_ns * 1e-9, output.hr.window_s or 10.0)


CHANGES = {"light": LIGHT, "breathing light": BREATHING_LIGHT, "motion": MOTION, "light and motion": LIGHT + MOTION}


@pytest.mark.parametrize("rate", [45, pytest.param(150, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "change",
    [name if name == "light and motion" else pytest.param(name, marks=pytest.mark.slow) for name in CHANGES],
)
def test_the_rate_is_found_and_never_doubled_or_halved(rate: int, change: str) -> None:
    looks = list(shown(rate, CHANGES[change], seed=3_200_000_000))
    ok = [(estimate.value, true) for estimate, true in looks if estimate.state == "ok" and estimate.value is not None]
    assert all(abs(value - true) <= 5.0 for value, true in ok), ok
    assert len(ok) >= LEAST_OK
    assert all(abs(true - rate) < 0.1 * rate for _, true in looks)  # the scene is what it is called
