"""Engines that ``compare`` finds. With an engine on a GPU none of this has run: there was no GPU."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from edge.bundle import load_bundle
from edge.errors import FaultError
from edge.runtimes.onnxrt import open_runtime
from export.engines_here import answer_of, engines_here


def test_without_tensorrt_there_are_none_and_the_report_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    with engines_here(load_bundle(None)) as found:
        assert not found.infers
        assert found.why.startswith("no engines (")


def test_what_another_graph_answered_is_not_the_engine() -> None:
    bundle = load_bundle(None)
    runtime = open_runtime(bundle, "exact", "auto")
    frames = np.zeros((1, *bundle.input_shape), np.float32)
    assert set(answer_of(runtime, "window.cpu-fp32.onnx", frames)) == {"bvp", "rsp"}
    with pytest.raises(FaultError, match=r"the engine of window\.fp16\.onnx was lost, onnxrt window\.cpu-fp32 CPU"):
        answer_of(runtime, "window.fp16.onnx", frames)
