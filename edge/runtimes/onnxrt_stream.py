"""Stream graphs in ONNX Runtime on one CPU thread: a chunk and the state in, samples and the next state out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnxruntime

from edge.bundle import Bundle
from edge.errors import BundleError, FaultError, first_line
from edge.runtimes.onnxrt import check_golden, selftest_from_bundle
from edge.selftest import STREAM_CHUNK, STREAM_SELFTEST, stream_waves_from_npz
from edge.stream_graph import STATE_IN, STATE_OUT, StreamFacts

__all__ = ["StreamRunner", "open_stream"]

Floats = npt.NDArray[np.float32]


class StreamRunner:
    """One stream of one person. Not safe for use by several threads at once.

    ``state`` is all that the stream remembers: a copy is a save, assigning it the restore. FaultError for a graph that
    does not load or is no stream graph.
    """

    def __init__(self, name: str, graph: bytes) -> None:
        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base class below Exception
            raise FaultError(f"{name}: ONNX Runtime cannot load the graph ({first_line(error)})") from error
        self._read_signature()
        self.reset()

    def reset(self) -> None:
        """Begin anew: what comes now belongs to another person, place or time."""
        self.state = np.zeros(self._state_shape, np.float32)

    def step(self, frames: Floats) -> dict[str, Floats]:
        """Samples ``{task: [L]}`` of the next chunk ``[1, C, L, S, S]`` (see :mod:`edge.stream_graph`).

        The state stays as it was when FaultError is raised: for another shape or type, a failing engine, or a number
        that is not finite.
        """
        self._check(frames)
        feed = {"frames": frames, STATE_IN: self.state}
        try:
            *waves, state = self._session.run([*self.tasks, STATE_OUT], feed)
        except Exception as error:  # likewise
            raise FaultError(f"{self.name}: inference failed ({first_line(error)})") from error
        if not all(np.isfinite(values).all() for values in (*waves, state)):
            raise FaultError(f"{self.name}: a number is not finite; look at the frames, or begin the stream anew")
        self.state = state
        return {task: wave[0] for task, wave in zip(self.tasks, waves, strict=True)}

    def run(self, frames: Floats, chunk: int) -> dict[str, Floats]:
        """As :meth:`step`, of frames ``[1, C, F, S, S]`` in as many whole chunks as there are: ``{task: [n]}``."""
        starts = range(0, frames.shape[2] - chunk + 1, chunk)
        outputs = [self.step(np.ascontiguousarray(frames[:, :, at : at + chunk])) for at in starts]
        return {task: np.concatenate([one[task] for one in outputs]) for task in self.tasks}

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

    def _check(self, frames: Floats) -> None:
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
        if self.state.shape != self._state_shape or self.state.dtype != np.float32:
            wanted = f"float32 {list(self._state_shape)}"
            raise FaultError(f"{self.name}: a state of {self.state.dtype} {list(self.state.shape)}, wanted {wanted}")


def open_stream(bundle: Bundle, precision: str = "auto") -> StreamRunner:
    """A stream of ``bundle``, which gave the golden samples.

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
    runner = StreamRunner(f"onnxrt {graph.name} CPU", graph.data)
    if set(runner.tasks) != set(bundle.tasks):
        raise BundleError(f"{graph.entry.file}: outputs {runner.tasks}, wanted {bundle.tasks}; export it anew")
    waves = runner.run(clip, STREAM_CHUNK)
    check_golden(runner.name, graph.entry.tolerance, waves, {task: wave[0] for task, wave in golden.items()})
    runner.reset()
    return runner
