"""The command ``mmrphys cameras``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from edge.cameras.listing import FoundCamera
    from edge.cameras.uvc import Mode

__all__ = ["cameras"]


def cameras(*, as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False) -> None:
    """List the cameras of this machine, each with the URI to paste and, where it cannot be used, why and what to do."""
    from edge.cameras.listing import NO_CAMERAS, found_cameras  # noqa: PLC0415 - commands import their work when called

    found = found_cameras()
    if as_json:
        typer.echo(json.dumps([_as_dict(camera) for camera in found], indent=2))
    else:
        typer.echo("\n".join(line for camera in found for line in _lines(camera)) or NO_CAMERAS)


def _lines(camera: FoundCamera) -> Iterator[str]:
    """Its URI first, in quotes where a shell would need them."""
    option = f"--{camera.kind} {_quoted(camera.uri)}"
    yield option
    yield f"    {camera.name}, {camera.path}" + (f", USB {camera.usb_id}" if camera.usb_id else "")
    yield from (f"    {line}" for line in _summary(camera.modes))
    if camera.problem:
        yield f"    cannot be used now: {camera.problem}; {camera.fix}"


def _quoted(uri: str) -> str:
    return f'"{uri}"' if set(uri) & set("?&! ") else uri


def _summary(modes: Iterable[Mode]) -> Iterator[str]:
    """A line a format: its sizes, each with its highest rate."""
    rates: dict[str, dict[tuple[int, int], float]] = {}
    for mode in modes:
        sizes = rates.setdefault(mode.fourcc, {})
        size, rate = (mode.width, mode.height), float(mode.rate or 0)
        sizes[size] = max(sizes.get(size, 0.0), rate)
    for fourcc, sizes in rates.items():
        told = (f"{w}x{h}" + (f" {rate:.4g}/s" if rate else "") for (w, h), rate in sizes.items())
        yield f"{fourcc}: {', '.join(told)}"


def _as_dict(camera: FoundCamera) -> dict[str, Any]:
    modes = [
        {"format": m.fourcc, "width": m.width, "height": m.height, "fps": None if m.rate is None else float(m.rate)}
        for m in camera.modes
    ]
    plain = ("uri", "kind", "name", "path", "by_id", "usb_id", "driver", "usable", "problem", "fix")
    return {**{key: getattr(camera, key) for key in plain}, "modes": modes}
