"""What a figure means nothing without."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import cv2
import numpy as np

__all__ = ["machine"]


def machine() -> str:
    """Processor, cores, load and versions: what a figure means nothing without."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith(("model name", "Model"))]
    processor = names[0] if names else platform.machine()
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, OpenCV {cv2.__version__}"
    return f"{processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {versions}"
