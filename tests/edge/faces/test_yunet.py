from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.bundle import default_bundle_dir
from edge.errors import FaultError, InputError, MmrphysError, UsageError
from edge.faces import detector_by_name
from edge.faces.yunet import _detections


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("yunet", UsageError, "names no model; write --detector yunet:/path/model.onnx"),
        ("yunet:/nowhere/a.onnx", InputError, "there is no file /nowhere/a.onnx; download"),
        ("yunett:/a", UsageError, "no face detector 'yunett'; did you mean 'yunet'"),
        ("haar:/a.xml", UsageError, "haar takes no model; seen '/a.xml'"),
    ],
)
def test_a_detector_that_cannot_be_is_explained_in_one_line(text: str, error: type[MmrphysError], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        detector_by_name(text)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_such_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.onnx").write_bytes(b"no model")
    for path in (tmp_path / "junk.onnx", default_bundle_dir() / "window.cpu-fp32.onnx"):
        with pytest.raises(FaultError, match=r"is no face detector that OpenCV .* want a YuNet model") as caught:
            detector_by_name(f"yunet:{path}")
        assert "\n" not in str(caught.value)


def test_rows_become_boxes_in_pixels_of_the_picture() -> None:
    row = np.array([[10, 20, 30, 40, *([0] * 10), 0.9], [1, 1, 0, 5, *([0] * 10), 0.8]], np.float32)
    (face,) = _detections(row, 0.5)
    assert (face.box.x, face.box.y, face.box.w, face.box.h) == (20, 40, 60, 80)
    assert face.score == pytest.approx(0.9)
    assert _detections(None, 1.0) == []
    with pytest.raises(ValueError, match=r"\[1, 3\]"):
        _detections(np.zeros((1, 3), np.float32), 1.0)
