"""The command ``mmrphys profile``. Importing it needs neither numpy nor ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from edge.config import Precision, RuntimeName
from edge.errors import InputError, UsageError
from edge.vitals import Mode

if TYPE_CHECKING:  # commands import their work when called
    from edge.profile_subject import Subject
    from edge.profiling import Report

__all__ = ["profile"]


def profile(
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="[BUNDLE|MODEL.onnx]", help="A bundle's folder or a graph. Default: the package's bundle."
        ),
    ] = None,
    *,
    mode: Annotated[Mode, typer.Option(help="Whole windows, or chunks of a stream.")] = "exact",
    runtime: Annotated[RuntimeName, typer.Option(help="Inference engine.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="Number format of the graph.")] = "auto",
    fps: Annotated[float | None, typer.Option(help="Frame rate; needed for MODEL.onnx, a bundle has its own.")] = None,
    frames: Annotated[
        int | None, typer.Option(min=2, help="Frames of a window, where MODEL.onnx leaves it open.")
    ] = None,
    hop: Annotated[float, typer.Option(metavar="SECONDS", help="Seconds between two inferences.")] = 1.0,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of ONNX Runtime.")] = 1,
    runs: Annotated[int, typer.Option(min=1, max=10_000_000, help="Runs of each input, at most.")] = 2_000,
    seconds: Annotated[float, typer.Option(help="Seconds for each input, at most.")] = 10.0,
    limit: Annotated[
        str,
        typer.Option(metavar="DEVICE", help="Whose limit: this-cpu, which is measured, or one of edge/devices.toml."),
    ] = "this-cpu",
    against: Annotated[
        Path | None, typer.Option(metavar="OTHER.json", help="An earlier profile to compare with.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write profile.json, .txt and .html there.")] = None,
    check_trtexec: Annotated[
        bool, typer.Option("--check-trtexec", help="Run trtexec beside, where there is one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the profile as JSON on stdout.")] = False,
) -> None:
    """Measure one inference here: percentiles, layers, memory, clocks, and how far that is from the limit."""
    from edge import profile_report, profile_trtexec, profiling  # noqa: PLC0415

    if runtime == "tensorrt":
        raise UsageError(
            "--runtime tensorrt: engines cannot be profiled in this version; take --runtime onnxrt, whose report "
            "prints the trtexec line for the GPU"
        )
    if not (0.0 < hop <= 3600.0 and 0.0 < seconds <= 1e6):
        raise UsageError(f"--hop {hop:g} and --seconds {seconds:g}; wanted more than 0, and at most an hour of hop")
    other = _load(against) if against else None
    subject = _subject(target, mode, precision, fps, frames)
    plan = profiling.Plan(runs, seconds, warm_up_runs=max(1, min(200, runs // 10)), threads=threads)
    report = profiling.profile(subject, plan, hop, limit)
    compared = list(profile_report.difference(report, other)) if other else []
    checked = list(profile_trtexec.check_lines(report, _folder(target))) if check_trtexec else []
    text = "\n".join([*compared, *checked, *profile_report.lines(report)])
    if out:
        _write(
            out,
            {"profile.json": _json(report), "profile.txt": text + "\n", "profile.html": profile_report.html(report)},
        )
    if as_json:
        for line in (*compared, *checked):
            typer.echo(line, err=True)
    typer.echo(_json(report) if as_json else text, nl=not as_json)


def _subject(target: Path | None, mode: Mode, precision: str, fps: float | None, frames: int | None) -> Subject:
    from edge.bundle import load_bundle  # noqa: PLC0415
    from edge.profile_subject import subject_from_bundle, subject_from_onnx  # noqa: PLC0415

    if target is None or target.suffix != ".onnx":
        if fps is not None or frames is not None:
            raise UsageError("--fps and --frames belong to MODEL.onnx; a bundle says its own")
        return subject_from_bundle(load_bundle(target), mode, precision)
    if fps is None or not 1.0 <= fps <= 1000.0:
        raise UsageError(f"--fps is {fps or 'missing'}; an ONNX file does not say its frame rate, give --fps 1 to 1000")
    if mode == "stream":
        raise UsageError("--mode stream needs a bundle, whose manifest says what its chunks are")
    return subject_from_onnx(target, fps, frames, "fp32" if precision == "auto" else precision.removeprefix("force-"))


def _folder(target: Path | None) -> Path:
    from edge.bundle import default_bundle_dir  # noqa: PLC0415

    place = target or default_bundle_dir()
    return place.parent if place.suffix == ".onnx" else place


def _load(path: Path) -> Report:
    from edge.profiling import Report  # noqa: PLC0415

    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a profile.json of an earlier run") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a profile of this version ({error}); measure it again") from error


def _json(report: Report) -> str:
    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode() + "\n"


def _write(folder: Path, files: dict[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; name a folder that can be written") from error
