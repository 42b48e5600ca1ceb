"""Small files that the kernel writes, below ``/proc`` and ``/sys``: what cannot be read says nothing."""

from __future__ import annotations

from pathlib import Path

__all__ = ["number_of", "text_of"]


def text_of(path: Path) -> str:
    """The text without its ends; empty where there is none to read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def number_of(path: Path) -> float | None:
    """The number; None where there is none to read."""
    try:
        return float(text_of(path))
    except ValueError:
        return None
