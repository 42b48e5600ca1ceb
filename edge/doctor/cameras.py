"""Cameras: what is plugged in, and whether those of the kit give a frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from edge.cameras import Camera, camera_from_uri
from edge.cameras.listing import found_cameras
from edge.cameras.uvc_find import Nodes
from edge.doctor import Check, Finding, Subject, explained, ok, poor
from edge.errors import InputError, MmrphysError, SilentError, UsageError, first_line
from edge.frames import Frame, FrameKind
from edge.holders import holders_of
from edge.uri import without_secrets

__all__ = ["look"]

PATIENCE_S = 12.0
"""A network camera may take 10 s to answer."""


def look(subject: Subject) -> Iterator[Finding]:
    """What is attached, then each camera that the kit names."""
    root = subject.root
    found = found_cameras(Nodes(root / "dev", root / "sys/class/video4linux"), root / "proc")
    for one in found:
        what = f"{one.name} ({one.kind}): --{one.kind} {one.uri}"
        yield poor(f"{what}: {one.problem}", one.fix, needed=False) if one.problem \
            else ok(what)  # fmt: skip
    if not found and subject.named and not any("/dev/" in uri for uri in (subject.kit.rgb, subject.kit.thermal) if uri):
        yield ok("no camera is plugged in, and the kit needs none here")
    elif not found:
        fix = "plug one in and look for it with lsusb; a CSI camera needs gstreamer:, a network camera video:rtsp://"
        yield poor("no camera is plugged in", fix, needed=False)
    if subject.named and subject.kit.rgb is None:
        fix = "add a line rgb = ...; mmrphys setup writes a kit"
        yield poor("the kit names no RGB camera", fix, needed=True, exit_code=UsageError.exit_code)
    for kind, uri in (("rgb", subject.kit.rgb), ("thermal", subject.kit.thermal)):
        if subject.named and uri not in (None, "none"):
            assert uri is not None
            yield _tried("thermal" if kind == "thermal" else "rgb", uri, subject.root)


def _tried(kind: FrameKind, uri: str, root: Path) -> Finding:
    """Open the camera, take one frame, close it; within a bounded time."""
    outcome: list[Finding] = []
    thread = threading.Thread(target=lambda: outcome.append(_one_frame(kind, uri, root)), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    if outcome:
        return outcome[0]
    seen = f"the kit's {kind} camera {without_secrets(uri)} gave no frame within {PATIENCE_S:.0f} s"
    return poor(seen, "check its cable, power and address", needed=True, exit_code=InputError.exit_code)


def _one_frame(kind: FrameKind, uri: str, root: Path) -> Finding:
    try:
        camera = camera_from_uri(uri, kind)
        camera.open()
        try:
            frame = _first_frame(camera)
        finally:
            camera.close()
    except MmrphysError as error:
        return _held(explained(error), uri, root)
    except Exception as error:  # noqa: BLE001 - a thread's edge: a finding, never silent
        seen = f"the kit's {kind} camera {without_secrets(uri)} broke ({type(error).__name__}: {first_line(error)})"
        return poor(without_secrets(seen), "run doctor --debug -v and report it", needed=True)
    if frame is None:
        return poor(f"{camera.name} has no frame", "give one that has", needed=True, exit_code=InputError.exit_code)
    height, width = frame.image.shape[:2]
    return ok(f"the kit's {kind} camera {camera.name} gives {width} x {height} frames, stamps from {frame.clock}")


def _first_frame(camera: Camera) -> Frame | None:
    """The first frame; a live camera that has none for the moment is asked again until patience ends."""
    end_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return camera.read()
        except SilentError:
            if time.monotonic() >= end_s:
                raise


def _held(finding: Finding, uri: str, root: Path) -> Finding:
    """The finding, with who holds the device, where somebody does."""
    path = uri.partition(":")[2].partition("?")[0]
    holders, _ = holders_of(path, root / "proc") if path.startswith("/dev/") else ([], 0)
    if not holders:
        return finding
    if any(one.name.startswith("mmrphys") for one in holders):
        return ok(f"the kit's camera {without_secrets(uri)} is in use by mmrphys itself (process {holders[0].pid})")
    who = ", ".join(f"{one.name} (process {one.pid})" for one in holders)
    return poor(f"{finding.seen}; it is held by {who}", f"end {holders[0].name} first", needed=True,
                exit_code=finding.exit_code)  # fmt: skip


_: Check = look
