"""What a run on a GPU leaves behind, as JSON."""

from __future__ import annotations

from typing import Literal

import msgspec

from edge.profile_board import Machine
from edge.profile_types import Report, Spread

__all__ = ["PARTS", "GpuResults", "Part", "TorchRow"]

PARTS = ("torch_window", "torch_stream", "engine", "wrapper", "marked_tests")


class TorchRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One network in PyTorch between two CUDA events; where it did not run ``ms`` is None and ``why_not`` says why."""

    network: str
    size: int
    what: Literal["window", "chunk"]
    new_frames: int
    precision: Literal["fp32", "fp16"]
    cuda_graph: bool
    runs: int
    ms: Spread | None
    ms_per_new_frame: float | None
    why_not: str = ""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """It ran, unless ``skipped`` or ``failed`` says why not. ``facts`` are single findings by name."""

    skipped: str | None = None
    failed: str | None = None
    seconds: float = 0.0
    facts: dict[str, float | bool | str] = {}
    rows: list[TorchRow] = []
    profiles: list[Report] = []


class Gpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first device: its name, SM, the driver's release and the newest CUDA that it knows."""

    name: str
    sm: str
    driver: str
    cuda: str


class GpuResults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``commit`` ends with ``+`` where the working tree differed from it; ``gpu`` is None where there is none."""

    kind: Literal["gpu-results"]
    format: Literal[1]
    time: str
    commit: str
    gpu: Gpu | None
    machine: Machine
    versions: dict[str, str]
    parts: dict[str, Part]
