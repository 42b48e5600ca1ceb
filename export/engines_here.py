"""The engines of a bundle that this machine has already built, run by the device's own runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edge.bundle import FORCE, Bundle, GraphEntry
from edge.engine_build import Span, find_tensorrt
from edge.engines import default_cache, fingerprint_of, machine_of
from edge.errors import FaultError, MmrphysError
from edge.runtimes import Runtime
from edge.runtimes.tensorrt import open_runtime
from export.agreement import Infer, Waves

__all__ = ["ENGINE", "NO_ENGINES", "Engines", "answer_of", "engines_here"]

ENGINE = "engine "


@dataclass(frozen=True, slots=True, eq=False)
class Engines:
    """How they are run, under ``engine `` and the file of their graph; ``why`` says in words which there are."""

    why: str
    infers: Mapping[str, Infer] = field(default_factory=dict)


NO_ENGINES = Engines("engines left out")


@contextmanager
def engines_here(bundle: Bundle) -> Iterator[Engines]:
    """The engines of window graphs in this machine's cache, open until the end; none is built for this."""
    try:
        files = [entry for entry in bundle.manifest.graphs if _is_built(bundle, entry)]
    except MmrphysError as error:
        yield Engines(f"no engines ({error})")
        return
    with ExitStack() as opened:
        infers = {ENGINE + entry.file: _infer(bundle, entry, opened) for entry in files}
        yield Engines(f"engines of {', '.join(entry.file for entry in files)}" if files else "no engines built", infers)


def _is_built(bundle: Bundle, entry: GraphEntry) -> bool:
    """MmrphysError without TensorRT, or for an engine that must not be used."""
    if (entry.mode, entry.runtime) != ("exact", "tensorrt"):
        return False
    graph = bundle.graph("exact", "tensorrt", FORCE + entry.precision)
    fingerprint = fingerprint_of(graph, Span(), machine_of(find_tensorrt()))
    return default_cache().load(graph.name, fingerprint) is not None


def _infer(bundle: Bundle, entry: GraphEntry, opened: ExitStack) -> Infer:
    runtime = open_runtime(bundle, "exact", FORCE + entry.precision)
    opened.callback(runtime.close)
    return lambda frames: answer_of(runtime, entry.file, frames)


def answer_of(runtime: Runtime, file: str, frames: npt.NDArray[np.float32]) -> Waves:
    """FaultError when its standby answered: that is not what is compared."""
    waves = runtime.infer(frames)
    if runtime.graph.entry.file != file:
        raise FaultError(f"the engine of {file} was lost, {runtime.name} answered; build it anew")
    return waves
