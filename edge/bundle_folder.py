"""A bundle's folder on the disk: it appears whole, verified and synced, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edge.bundle import MANIFEST, Bundle, load_bundle
from edge.bundle_keys import Trust
from edge.errors import FaultError, UsageError
from edge.sealed_files import sync_folder, write_synced

__all__ = ["PART", "check_replaceable", "write_folder"]

PART = ".part-"
"""What the name of an unfinished folder begins with."""


def check_replaceable(out: Path) -> None:
    """UsageError unless a bundle, an empty folder or nothing stands where the new bundle goes."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out}: not a folder; name a new folder for the bundle")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise UsageError(f"{out}: a folder with other content; name a new one or an older bundle")


def write_folder(files: Mapping[str, bytes], out: Path, trust: Trust | None = None) -> Bundle:
    """Write ``files`` beside ``out``, read them back, verify, and put the folder in its place.

    Raises
    ------
    BundleError
        They are no bundle.
    FaultError
        The disk does not take them. What stood at ``out`` stays, in both cases.
    """
    part: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=out.parent, prefix=f"{PART}{out.name}."))
        for name, data in files.items():
            write_synced(part / name, data, 0o644)
        sync_folder(part)
        load_bundle(part, trust)
        part.chmod(0o755)
        _swap(part, out)
        sync_folder(out.parent)
    except OSError as error:
        raise FaultError(f"{error.filename or out}: {error.strerror}; the bundle is not written") from error
    finally:
        if part:
            shutil.rmtree(part, ignore_errors=True)
    return load_bundle(out, trust)


def _swap(part: Path, out: Path) -> None:
    """``part`` becomes ``out``; an older ``out`` is set aside first and comes back if that fails."""
    old = part.with_name(f"{part.name}.old")
    if out.exists():
        out.replace(old)
    try:
        part.replace(out)
    except OSError:
        if old.exists():
            old.replace(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
