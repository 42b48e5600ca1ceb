from __future__ import annotations

import numpy as np
import pytest
from fakes.zoo import clips_for, model_of, name_of

from edge.errors import FaultError
from edge.runtimes.onnxrt_stream import StreamSession
from edge.stream_graph import StreamFacts, StreamRunner
from export.stream import onnx_stream_from_model
from training.model import ModelSpec

NF = ModelSpec(9, "NF", 4)
BVP = ModelSpec(9, "EF", 3, ("bvp",))


def runner_of(spec: ModelSpec) -> StreamRunner:
    return StreamRunner(StreamSession("test", onnx_stream_from_model(model_of(spec), "fast").SerializeToString()))


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (NF, (1, 4, 6, 9, 9)),
        (NF, (1, 4, 16, 9, 9)),
        (NF, (2, 4, 12, 9, 9)),
        (NF, (1, 3, 12, 9, 9)),
        (BVP, (1, 3, 0, 9, 9)),
        (BVP, (1, 3, 13, 9, 9)),
        (BVP, (3, 12, 9, 9)),
    ],
    ids=lambda value: name_of(value) if isinstance(value, ModelSpec) else str(value),
)
def test_another_chunk_is_refused_and_changes_nothing(spec: ModelSpec, shape: tuple[int, ...]) -> None:
    runner = runner_of(spec)
    with pytest.raises(FaultError, match=r"wanted float32 \[1, "):
        runner.step(np.zeros(shape, np.float32))
    assert not runner.state.any()


def test_a_frame_that_is_no_number_leaves_the_state_as_it_was() -> None:
    frames, runner = clips_for(BVP, 12)[:1], runner_of(BVP)
    runner.step(frames)
    before = runner.state.copy()
    frames[0, 0, 3, 4, 4] = np.nan
    with pytest.raises(FaultError, match="not finite"):
        runner.step(frames)
    assert np.array_equal(runner.state, before)


def test_a_foreign_state_and_a_foreign_graph_are_refused() -> None:
    runner = runner_of(BVP)
    runner.state = np.zeros((1, 7), np.float32)
    with pytest.raises(FaultError, match="a state of"):
        runner.step(clips_for(BVP, 12)[:1])
    with pytest.raises(FaultError, match="cannot load"):
        StreamSession("test", b"no graph")
    graph = onnx_stream_from_model(model_of(BVP), "fast")
    del graph.metadata_props[:]
    with pytest.raises(FaultError, match="metadata lack"):
        StreamSession("test", graph.SerializeToString())


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"max_chunk": "2"}, "chunks of 4 to 2"),
        ({"memory": "0.5"}, "memory of 0.5"),
        ({"lag_bvp": "-1"}, "lags"),
        ({"chunk_step": "x"}, "invalid literal"),
    ],
)
def test_facts_that_cannot_be_run_are_refused(changed: dict[str, str], says: str) -> None:
    facts = StreamFacts(4, 12, 600.0, {"bvp": 10, "rsp": 21})
    assert StreamFacts.from_metadata(facts.metadata(), ("bvp", "rsp")) == facts
    with pytest.raises(ValueError, match=says):
        StreamFacts.from_metadata(facts.metadata() | changed, ("bvp", "rsp"))
