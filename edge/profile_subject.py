"""What is profiled: a graph of a bundle, or an ONNX file by itself, with inputs to run it on."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bundle import MAX_FILE_BYTES, Bundle, RuntimeForm
from edge.errors import BundleError, FaultError, UsageError
from edge.graph_bytes import graph_facts
from edge.profile_layers import open_session
from edge.runtimes.onnxrt import selftest_from_bundle
from edge.selftest import STREAM_CHUNK
from edge.stream_graph import STATE_IN, STATE_OUT
from edge.vitals import Mode

__all__ = ["GraphCard", "Runner", "Subject", "subject_from_bundle", "subject_from_onnx"]

Floats = npt.NDArray[np.float32]
RGB_RANGE, THERMAL_RANGE_DEGC = (0.0, 255.0), (20.0, 40.0)


class GraphCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which graph. ``frames`` a call takes: a window (F), or a chunk of a stream."""

    file: str
    sha256: str
    bundle: str
    mode: Mode
    precision: str
    runtime: str
    batch: int
    channels: int
    frames: int
    size: int
    fps: float


class Runner:
    """Calls of one session, input after input; the state of a stream goes from call to call."""

    def __init__(self, session: Any, name: str, feeds: Sequence[Mapping[str, Floats]]) -> None:
        self._session, self._name, self._feeds = session, name, cycle(feeds)
        self._outputs = [value.name for value in session.get_outputs()]
        states = [value.shape for value in session.get_inputs() if value.name == STATE_IN]
        self._state = {STATE_IN: np.zeros(states[0], np.float32)} if states and STATE_OUT in self._outputs else {}

    def step(self) -> list[Any]:
        """One inference, outputs in order; FaultError when it fails."""
        try:
            outputs: list[Any] = self._session.run(self._outputs, {**next(self._feeds), **self._state})
        except Exception as error:  # its exceptions share no base class below Exception
            first = str(error).strip().split("\n", maxsplit=1)[0]
            raise FaultError(
                f"{self._name}: inference failed ({first}); profile a bundle, which knows its inputs"
            ) from error
        if self._state:
            self._state = {STATE_IN: outputs[self._outputs.index(STATE_OUT)]}
        return outputs

    def io_bytes(self) -> int:
        """Of all inputs and outputs of one call."""
        given = [*next(self._feeds).values(), *self._state.values()]
        return sum(array.nbytes for array in (*given, *self.step()))


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A graph's bytes, inputs by name (``self-test`` first, where there is one), and what cannot be measured of it.

    ``plain``: the file and the input's shape that trtexec would take, None where there is no plain form. ``expected``:
    the golden waves of the first input and how far from them a sound runtime may be; empty where there are none.
    """

    card: GraphCard
    data: bytes
    feeds: Mapping[str, Sequence[Mapping[str, Floats]]]
    plain: str | None
    input_name: str
    not_measured: tuple[str, ...] = ()
    expected: Mapping[str, Floats] = field(default_factory=dict)
    tolerance: float = 0.0

    def least_bytes(self, runners: Mapping[str, Runner]) -> int:
        """What must go through memory once: inputs, outputs, and the graph's file for its weights."""
        return next(iter(runners.values())).io_bytes() + len(self.data)

    def trtexec(self, runs: int, seconds: float) -> str:
        """The line that times the plain form on a GPU; empty where there is none."""
        if self.plain is None or self.card.mode == "stream":
            return ""
        card = self.card
        shape = "x".join(str(n) for n in (card.batch, card.channels, card.frames, card.size, card.size))
        words = [
            "trtexec", f"--onnx={self.plain}", f"--shapes={self.input_name}:{shape}", "--stronglyTyped", "--noTF32",
            "--useCudaGraph", "--warmUp=1000", f"--iterations={runs}", f"--duration={seconds:g}",
            "--percentile=50,90,99", "--separateProfileRun", "--dumpProfile",
        ]  # fmt: skip
        return shlex.join(words)


def subject_from_bundle(bundle: Bundle, mode: Mode, precision: str, runtime: RuntimeForm = "onnxrt") -> Subject:
    """The graph that ``runtime`` takes of ``bundle``, run on the clip of its self-test and on noise.

    BundleError when it has none, or a self-test that cannot be read.
    """
    graph = bundle.graph(mode, runtime, precision)
    clip, waves = selftest_from_bundle(bundle)
    noise = random_frames(clip.shape, bundle.channel_count - ("thermal" in bundle.channels))
    step = min(STREAM_CHUNK, bundle.manifest.stream.chunk[1]) if bundle.manifest.stream else STREAM_CHUNK
    frames = step if mode == "stream" else bundle.frames
    feeds = {name: _pieces(whole, frames) for name, whole in (("self-test", clip), ("random", noise))}
    plain = next(
        (g.file for g in bundle.manifest.graphs
         if (g.mode, g.precision, g.runtime) == (mode, graph.entry.precision, "tensorrt")), None,
    )  # fmt: skip
    card = GraphCard(
        graph.entry.file, hashlib.sha256(graph.data).hexdigest(), bundle.manifest.name, mode, graph.entry.precision,
        runtime, 1, bundle.channel_count, frames, bundle.size, bundle.fps,
    )  # fmt: skip
    expected = waves if mode == "exact" else {}
    return Subject(card, graph.data, feeds, plain, "frames", expected=expected, tolerance=graph.entry.tolerance)


def _pieces(clip: Floats, frames: int) -> list[dict[str, Floats]]:
    starts = range(0, clip.shape[2] - frames + 1, frames)
    return [{"frames": np.ascontiguousarray(clip[:, :, at : at + frames])} for at in starts]


def subject_from_onnx(
    path: Path, fps: float, frames: int | None, precision: str, runtime: RuntimeForm = "onnxrt"
) -> Subject:
    """A file by itself, one clip of noise at ``fps``: its input has to be float32 ``[B, C, F, S, S]``.

    ``frames`` is F where the file leaves it open; it is never guessed, for ONNX Runtime may crash on a clip too short.
    BundleError for a file that cannot be read or keeps data elsewhere, UsageError for another input.
    """
    data = _read(path)
    session = open_session(data, path.name, 1)
    name, shape = _input_of(session, path, frames)
    batch, channels, length, size, _ = shape
    sha256 = hashlib.sha256(data).hexdigest()
    card = GraphCard(path.name, sha256, "", "exact", precision, runtime, batch, channels, length, size, fps)
    missing = "real input: an ONNX file by itself has no self-test; profile a bundle"
    return Subject(card, data, {"random": [{name: random_frames(shape, channels)}]}, path.name, name, (missing,))


def _input_of(session: Any, path: Path, frames: int | None) -> tuple[str, tuple[int, int, int, int, int]]:
    inputs = session.get_inputs()
    seen = ", ".join(f"{value.name} {value.type} {value.shape}" for value in inputs)
    if len(inputs) != 1 or len(inputs[0].shape) != 5 or inputs[0].type != "tensor(float)":
        raise UsageError(
            f"{path}: inputs {seen}; wanted one float32 [B, C, F, S, S]; pack it first with mmrphys export"
        )
    batch, channels, length, *sides = (n if isinstance(n, int) and n > 0 else None for n in inputs[0].shape)
    if length is None and frames is None:
        raise UsageError(f"{path}: input {seen} leaves the number of frames open; give --frames")
    if length is not None and frames not in (None, length):
        raise UsageError(f"{path}: input {seen} takes {length} frames, not {frames}; leave out --frames")
    if channels is None or None in sides or sides[0] != sides[1]:
        raise UsageError(f"{path}: input {seen} has no fixed channels and square size; fix them in the file")
    return inputs[0].name, (batch or 1, channels, length or frames or 0, int(sides[0] or 0), int(sides[1] or 0))


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if not path.is_file() or size > MAX_FILE_BYTES:
            raise BundleError(f"{path}: {size} bytes, wanted a plain file of at most {MAX_FILE_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}; name a bundle's folder or an ONNX file") from error
    try:
        facts = graph_facts(data)
    except ValueError as error:
        raise BundleError(f"{path}: not an ONNX file ({error}); export it anew") from error
    if facts.external_data:
        raise BundleError(f"{path}: keeps weights in another file; export it with all data inside")
    return data


def random_frames(shape: Sequence[int], colours: int) -> Floats:
    """Seeded noise ``[B, C, F, S, S]``: the first ``colours`` channels as 0..255, the rest as degC."""
    low, high = np.full(shape[1], THERMAL_RANGE_DEGC[0]), np.full(shape[1], THERMAL_RANGE_DEGC[1])
    low[:colours], high[:colours] = RGB_RANGE
    noise = np.random.default_rng(0).random(tuple(shape), np.float32)
    span = (high - low).astype(np.float32).reshape(1, -1, 1, 1, 1)
    return np.asarray(noise * span + low.astype(np.float32).reshape(1, -1, 1, 1, 1), np.float32)
