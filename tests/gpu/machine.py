"""Which GPU there is, by which releases, and what of it can be used."""

from __future__ import annotations

import importlib
import subprocess
from importlib import metadata
from pathlib import Path

from gpu.results import Gpu

from edge.cuda_driver import open_driver
from edge.errors import FaultError

__all__ = ["NO_GPU", "ROOT", "SkipPart", "commit", "gpu", "torch_on_a_gpu", "versions", "want_a_gpu"]

ROOT = Path(__file__).resolve().parents[2]
NO_GPU = "no CUDA device: libcuda.so.1 is not here, or finds no GPU"
PACKAGES = (
    "mmrphys-edge",
    "torch",
    "tensorrt",
    "tensorrt-rtx",
    "cuda-bindings",
    "pycuda",
    "nvtx",
    "onnxruntime",
    "numpy",
)


class SkipPart(Exception):  # noqa: N818 - it is no error
    """A part cannot run here; says why."""


def gpu() -> Gpu | None:
    """The first device; None where there is none that works."""
    driver = open_driver()
    if driver is None:
        return None
    try:
        found = driver.gpu()
        return Gpu(found.name, found.sm, _driver_release(), driver.version())
    except FaultError:
        return None


def want_a_gpu() -> None:
    """SkipPart without a device that works."""
    if gpu() is None:
        raise SkipPart(NO_GPU)


def torch_on_a_gpu() -> None:
    """SkipPart unless PyTorch can use the device."""
    want_a_gpu()
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise SkipPart(f"PyTorch is not installed ({error})") from error
    if not torch.cuda.is_available():
        built = torch.version.cuda or "no CUDA"
        raise SkipPart(f"PyTorch {torch.__version__}, built for {built}, cannot use the device")


def versions() -> dict[str, str]:
    """Release of every package that matters and is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit of this checkout, ``+`` behind it where files differ; ``unknown`` outside of one."""
    try:
        head = _output("git", "rev-parse", "HEAD")
        return head + ("+" if _output("git", "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _driver_release() -> str:
    try:
        return _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0").splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown"


def _output(*words: str) -> str:
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
