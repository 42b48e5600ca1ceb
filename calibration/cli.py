"""The command ``mmrphys calibrate rig``. Importing it needs neither numpy nor OpenCV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from edge.errors import UsageError
from edge.uri import nearest

if TYPE_CHECKING:  # commands import their work when called
    from collections.abc import Sequence

    from calibration.rig import Look
    from edge.rig import Rig

__all__ = ["calibrate"]

calibrate = typer.Typer(help="Files that tell how cameras lie to each other.")


@calibrate.callback()
def _group() -> None:
    """Files that tell how cameras lie to each other."""


@calibrate.command("rig")
def rig_(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="N_rgb.png and N_thermal.png (or .jpg) of a board.")],
    *,
    target: Annotated[Literal["aruco"], typer.Option(help="What is on the board.")] = "aruco",
    out: Annotated[Path, typer.Option(metavar="FILE", help="The rig that is written.")] = Path("rig.json"),
    dictionary: Annotated[str, typer.Option(help="Markers: original, 4x4, 5x5, 6x6, 7x7, apriltag.")] = "original",
    marker_mm: Annotated[
        float | None, typer.Option(min=1.0, max=1000.0, help="Side of a marker: faces then tell their distance.")
    ] = None,
    rgb_focal_px: Annotated[
        float | None, typer.Option(min=10.0, help="Focal length of the RGB camera in pixels: distances in mm.")
    ] = None,
    baseline_mm: Annotated[
        float | None, typer.Option(min=0.0, help="Distance between both lenses: parallax before and behind the board.")
    ] = None,
    rgb_id: Annotated[str | None, typer.Option(metavar="ID", help="The RGB camera; run refuses another.")] = None,
    thermal_id: Annotated[str | None, typer.Option(metavar="ID", help="The thermal camera, likewise.")] = None,
    max_rmse_px: Annotated[float, typer.Option(min=0.05, help="Largest error of a view, thermal pixels.")] = 1.6,
    min_markers: Annotated[int, typer.Option(min=2, help="Fewest markers that both pictures show.")] = 4,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the overlays go. Default: beside the rig.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Fit how the thermal picture lies over the RGB picture, from pictures of one board in both."""
    from calibration.report import parallax_lines, write_overlays  # noqa: PLC0415
    from calibration.rig import Limits, Setup, look_at, rig_from_looks  # noqa: PLC0415
    from calibration.targets import DICTIONARIES  # noqa: PLC0415
    from calibration.views import load_views  # noqa: PLC0415

    assert target == "aruco"
    if dictionary not in DICTIONARIES:
        raise UsageError(f"--dictionary {dictionary} is not known{nearest(dictionary, DICTIONARIES)}")
    if baseline_mm is not None and (rgb_focal_px is None or marker_mm is None):
        raise UsageError("--baseline-mm tells the parallax only with --marker-mm and --rgb-focal-px; give all three")
    views, alone = load_views(folder)
    limits = Limits(markers=min_markers, rmse_px=max_rmse_px)
    looks = [look_at(view, dictionary, limits) for view in views]
    pictures = report or out.with_name(f"{out.stem}-report")
    write_overlays(looks, None, pictures)  # also where no view serves: they show why
    rig = rig_from_looks(looks, Setup(dictionary, rgb_id, thermal_id, marker_mm, rgb_focal_px))
    write_overlays(looks, rig, pictures)
    _write(rig, out)
    parallax = list(parallax_lines(rig, baseline_mm, rgb_focal_px)) if baseline_mm and rgb_focal_px else []
    if as_json:
        typer.echo(msgspec.json.encode(_found(looks, rig, alone)))
    else:
        _print(looks, rig, alone, parallax, [str(out), str(pictures)])


def _write(rig: Rig, out: Path) -> None:
    from edge.rig import json_from_rig  # noqa: PLC0415

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(json_from_rig(rig))
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written: {error.strerror}; name another file") from error


def _found(looks: Sequence[Look], rig: Rig, alone: list[str]) -> dict[str, Any]:
    views = [
        {"view": look.view.name, "rmse_px": look.rmse_px, "held_out_px": look.held_out_px, "rejected": look.rejected}
        for look in looks
    ]
    return {"views": views, "unpaired": alone, "rig": rig}


def _print(looks: Sequence[Look], rig: Rig, alone: list[str], parallax: list[str], written: list[str]) -> None:
    from rich.console import Console  # noqa: PLC0415

    from calibration.report import disagreement_line, plane_table, view_table  # noqa: PLC0415

    console = Console(markup=False)  # names of files may hold brackets
    console.print(view_table(looks), plane_table(looks, rig))
    lines = [f"without a partner: {', '.join(alone)}"] if alone else []
    lines += [*parallax, *filter(None, [disagreement_line(looks, rig)])]
    if rig.planes[0].off_px is None:
        lines.append("one plane: before and behind it the picture is off by the parallax, which one plane cannot tell")
    if rig.marker_mm is None and len(rig.planes) > 1:
        lines.append("a face's distance is not known without --marker-mm: run takes the plane that is least off")
    typer.echo("\n".join([*lines, f"{rig.hash} written to {' and '.join(written)}"]))
