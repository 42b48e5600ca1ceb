"""Inference: ONNX Runtime by its self-test, TensorRT and the CUDA driver where they are, and what a run would take."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import closing

from edge.bundle_store import bundle_named
from edge.cuda_driver import open_driver
from edge.doctor import Check, Finding, Subject, explained, ok, poor
from edge.engine_build import find_tensorrt, version_of
from edge.errors import BundleError, FaultError, MissingExtraError, MmrphysError, UsageError
from edge.runtimes import RUNTIMES

__all__ = ["look"]


def look(subject: Subject) -> Iterator[Finding]:
    """The runtime that the kit chooses is opened, which runs its self-test; a GPU is told, never needed by itself."""
    yield from _chosen(subject)
    yield from _gpu(needed=subject.named and subject.kit.runtime == "tensorrt")


def _chosen(subject: Subject) -> Iterator[Finding]:
    kit = subject.kit
    try:
        bundle = bundle_named(kit.bundle, kit.keys, kit.store)
    except BundleError:
        return  # the check of the bundle tells it
    if kit.runtime == "tensorrt":
        yield ok("TensorRT is chosen: a run builds or checks its engine at the start; engine verify looks now")
        return
    try:
        with closing(importlib.import_module(RUNTIMES["onnxrt"]).open_runtime(bundle, kit.mode, kit.precision)) as one:
            yield ok(f"{one.name} passed its self-test; chosen: {one.graph.why}")
    except MmrphysError as error:
        yield explained(error, needed=not isinstance(error, UsageError) or subject.named)


def _gpu(*, needed: bool) -> Iterator[Finding]:
    driver = open_driver()
    if driver is None:
        if needed:
            fix = "on a Jetson flash L4T anew; in a container pass the GPU; or leave runtime at auto"
            yield poor("no CUDA driver answers, and the kit wants TensorRT", fix, needed=True)
        else:
            yield ok("no NVIDIA GPU here (libcuda does not answer): inference is on the CPU")
        return
    try:
        gpu = driver.gpu()
    except FaultError as error:
        yield explained(error, needed=needed)
        return
    yield ok(f"CUDA driver: {gpu.name}, SM {gpu.sm}")
    try:
        yield ok(f"{version_of(find_tensorrt())} for engines: mmrphys engine build, then --runtime tensorrt")
    except MissingExtraError as error:
        yield explained(error, needed=needed)


_: Check = look
