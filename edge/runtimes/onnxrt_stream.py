"""Stream graphs in ONNX Runtime on one CPU thread: a chunk and the state in, samples and the next state out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnxruntime

from edge.bundle import Bundle, Graph
from edge.errors import BundleError, FaultError, first_line
from edge.runtimes.onnxrt import check_golden, selftest_from_bundle, session_options
from edge.selftest import STREAM_CHUNK, STREAM_SELFTEST, stream_waves_from_npz
from edge.stream_graph import STATE_IN, STATE_OUT, StreamEngine, StreamFacts, StreamRunner

__all__ = ["StreamSession", "open_stream"]

Floats = npt.NDArray[np.float32]


class StreamSession:
    """A loaded stream graph, shared by all who are streamed. Not safe for use by several threads at once.

    FaultError for a graph that does not load or is no stream graph.
    """

    def __init__(self, name: str, graph: bytes) -> None:
        self.name = name
        try:
            self._session = onnxruntime.InferenceSession(graph, session_options(), providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base class below Exception
            raise FaultError(f"{name}: ONNX Runtime cannot load the graph ({first_line(error)})") from error
        self._read_signature()
        self.spread: Mapping[str, float] = dict.fromkeys(self.tasks, 1.0)

    def begin(self) -> Floats:
        """The state of a stream that has not begun."""
        return np.zeros(self._state_shape, np.float32)

    def step(self, frames: Floats, state: Floats) -> tuple[dict[str, Floats], Floats]:
        """Samples ``{task: [L]}`` of the next chunk ``[1, C, L, S, S]``, and the next state.

        FaultError for another shape or type, a failing engine, or a number that is not finite.
        """
        self._check(frames, state)
        try:
            *waves, after = self._session.run([*self.tasks, STATE_OUT], {"frames": frames, STATE_IN: state})
        except Exception as error:  # likewise
            raise FaultError(f"{self.name}: inference failed ({first_line(error)})") from error
        if not all(np.isfinite(values).all() for values in (*waves, after)):
            raise FaultError(f"{self.name}: a number is not finite; look at the frames, or begin the stream anew")
        return {task: wave[0] for task, wave in zip(self.tasks, waves, strict=True)}, after

    def _read_signature(self) -> None:
        inputs = {value.name: value.shape for value in self._session.get_inputs()}
        outputs = [value.name for value in self._session.get_outputs()]
        if set(inputs) != {"frames", STATE_IN} or STATE_OUT not in outputs or len(outputs) < 2:
            raise FaultError(
                f"{self.name}: inputs {sorted(inputs)} and outputs {outputs} are no stream; export it anew"
            )
        self.tasks = tuple(name for name in outputs if name != STATE_OUT)
        self._frame_shape, self._state_shape = inputs["frames"], tuple(inputs[STATE_IN])
        try:
            self.facts = StreamFacts.from_metadata(self._session.get_modelmeta().custom_metadata_map, self.tasks)
        except ValueError as error:
            raise FaultError(f"{self.name}: {error}; export it anew") from error

    def _check(self, frames: Floats, state: Floats) -> None:
        facts, (_, channels, _, *side) = self.facts, self._frame_shape
        length = frames.shape[2] if frames.ndim == 5 else 0
        fits = 0 < length <= facts.max_chunk and length % facts.chunk_step == 0
        if not fits or frames.shape != (1, channels, length, *side) or frames.dtype != np.float32:
            lengths = f"{facts.chunk_step} to {facts.max_chunk}"
            step = f" in steps of {facts.chunk_step}" if facts.chunk_step > 1 else ""
            raise FaultError(
                f"{self.name}: wanted float32 [1, {channels}, {lengths}{step}, {side[0]}, {side[1]}]; "
                f"seen {frames.dtype} {list(frames.shape)}"
            )
        if state.shape != self._state_shape or state.dtype != np.float32:
            wanted = f"float32 {list(self._state_shape)}"
            raise FaultError(f"{self.name}: a state of {state.dtype} {list(state.shape)}, wanted {wanted}")


def open_stream(bundle: Bundle, precision: str = "auto") -> tuple[StreamSession, Graph]:
    """The stream graph of ``bundle``, which gave the golden samples, and why it was chosen.

    Raises
    ------
    BundleError
        It has no stream graph of that precision, or no self-test for it.
    FaultError
        The graph does not load or fails its self-test.
    """
    graph = bundle.graph("stream", "onnxrt", precision)
    clip, _ = selftest_from_bundle(bundle)
    try:
        golden = stream_waves_from_npz(bundle.files.get(STREAM_SELFTEST, b""), bundle.tasks, bundle.frames)
    except ValueError as error:
        raise BundleError(f"{bundle.place / STREAM_SELFTEST}: not a self-test ({error}); export it anew") from error
    session = StreamSession(f"onnxrt {graph.name} CPU", graph.data)
    if set(session.tasks) != set(bundle.tasks):
        raise BundleError(f"{graph.entry.file}: outputs {session.tasks}, wanted {bundle.tasks}; export it anew")
    expected = {task: wave[0] for task, wave in golden.items()}
    check_golden(session.name, graph.entry.tolerance, StreamRunner(session).run(clip, STREAM_CHUNK), expected)
    session.spread = {task: max(float(wave.std()), 1e-6) for task, wave in expected.items()}
    return session, graph


_CHECK: type[StreamEngine] = StreamSession
