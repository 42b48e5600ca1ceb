"""The command ``mmrphys profile``. Importing it needs neither numpy nor ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from edge.config import Precision, RuntimeName
from edge.engine_cli import build_bar
from edge.errors import BundleError, InputError, UsageError
from edge.interrupt import stop_on_signal
from edge.vitals import Mode

if TYPE_CHECKING:  # commands import their work when called
    from edge.bundle import RuntimeForm
    from edge.config import Kit
    from edge.profile_subject import Subject
    from edge.profile_types import Plan, Report

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
    stages: Annotated[
        bool, typer.Option("--stages", help="Measure the whole chain too, from the camera to the record.")
    ] = False,
    rgb: Annotated[
        str | None, typer.Option(metavar="URI", help="Camera or file for --stages. Default: a synthetic scene.")
    ] = None,
    thermal: Annotated[str | None, typer.Option(metavar="URI", help="Thermal camera or file for --stages.")] = None,
    hop: Annotated[float, typer.Option(metavar="SECONDS", help="Seconds between two inferences.")] = 1.0,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of ONNX Runtime.")] = 1,
    runs: Annotated[int, typer.Option(min=1, max=10_000_000, help="Runs of each input, at most.")] = 2_000,
    seconds: Annotated[float, typer.Option(help="Seconds for each input, at most.")] = 10.0,
    limit: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE",
            help="Whose limit: this-cpu, which is measured, or one of edge/devices.toml. Default: what it runs on.",
        ),
    ] = None,
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
    from edge import profile_page, profile_report, profile_trtexec, profile_types  # noqa: PLC0415

    if not (0.0 < hop <= 3600.0 and 0.0 < seconds <= 1e6):
        raise UsageError(f"--hop {hop:g} and --seconds {seconds:g}; wanted more than 0, and at most an hour of hop")
    other = _load(against) if against else None
    kit = _stage_kit(target, stages, rgb, thermal, mode, runtime, precision, hop)
    plan = profile_types.Plan(runs, seconds, warm_up_runs=max(1, min(200, runs // 10)), threads=threads)
    subject = _subject(target, mode, precision, fps, frames, "tensorrt" if runtime == "tensorrt" else "onnxrt")
    report, built = _measured(subject, plan, hop, limit)
    report = _with_stages(report, kit, target)
    compared = list(profile_report.difference(report, other)) if other else []
    checked = list(profile_trtexec.check_lines(report, _folder(target), built)) if check_trtexec else []
    text = "\n".join([*compared, *checked, *profile_report.lines(report)])
    if out:
        _write(
            out,
            {"profile.json": _json(report), "profile.txt": text + "\n", "profile.html": profile_page.html(report)},
        )
    if as_json:
        for line in (*compared, *checked):
            typer.echo(line, err=True)
    typer.echo(_json(report) if as_json else text, nl=not as_json)


def _stage_kit(
    target: Path | None, stages: bool, rgb: str | None, thermal: str | None, mode: Mode, runtime: RuntimeName,
    precision: Precision, hop: float,
) -> Kit | None:  # fmt: skip
    """What the stage view runs; None when it was not asked for."""
    from edge.config import Kit  # noqa: PLC0415
    from edge.profile_types import SCENE  # noqa: PLC0415

    if not stages:
        if rgb or thermal:
            raise UsageError("--rgb and --thermal belong to --stages; add it, or leave them out")
        return None
    if target is not None and target.suffix == ".onnx":
        raise UsageError("--stages needs a bundle, which says what its frames are; pack MODEL.onnx with mmrphys export")
    return Kit(rgb=rgb or SCENE, thermal=thermal, mode=mode, runtime=runtime, precision=precision, hop_s=hop)


def _measured(subject: Subject, plan: Plan, hop: float, limit: str | None) -> tuple[Report, bytes]:
    """The profile, and the plan of the engine that was profiled (empty for ONNX Runtime)."""
    from edge import profiling  # noqa: PLC0415

    if subject.card.runtime != "tensorrt":
        return profiling.profile(subject, plan, hop, limit or "this-cpu"), b""
    from edge.engine_build import BuildStoppedError  # noqa: PLC0415
    from edge.profile_engine import open_subject, profile_engine  # noqa: PLC0415

    with stop_on_signal() as stop, build_bar(stop, shown=True) as progress:
        try:
            opened = open_subject(subject, progress)
        except BuildStoppedError as error:
            raise KeyboardInterrupt from error
    return profile_engine(subject, opened, plan, hop, limit), opened.engine.plan


def _with_stages(report: Report, kit: Kit | None, target: Path | None) -> Report:
    from edge.bundle import load_bundle  # noqa: PLC0415
    from edge.profile_types import STAGES  # noqa: PLC0415

    if kit is None:
        missing = f"stages of a run ({', '.join(STAGES)}): --stages"
        return msgspec.structs.replace(report, not_measured=[missing, *report.not_measured])
    from edge.profile_stages import view_stages  # noqa: PLC0415 - the whole chain: not before the memory was taken

    return msgspec.structs.replace(report, stages=view_stages(kit, load_bundle(target), report.engine))


def _subject(
    target: Path | None, mode: Mode, precision: str, fps: float | None, frames: int | None, runtime: RuntimeForm
) -> Subject:
    from edge.bundle import load_bundle  # noqa: PLC0415
    from edge.profile_subject import subject_from_bundle, subject_from_onnx  # noqa: PLC0415

    if target is None or target.suffix != ".onnx":
        if fps is not None or frames is not None:
            raise UsageError("--fps and --frames belong to MODEL.onnx; a bundle says its own")
        return subject_from_bundle(load_bundle(target), mode, precision, runtime)
    if not target.exists():
        raise BundleError(f"{target}: there is no such file; name a bundle's folder or an ONNX file")
    if fps is None or not 1.0 <= fps <= 1000.0:
        raise UsageError(f"--fps is {fps or 'missing'}; an ONNX file does not say its frame rate, give --fps 1 to 1000")
    if mode == "stream":
        raise UsageError("--mode stream needs a bundle, whose manifest says what its chunks are")
    bare = "fp32" if precision == "auto" else precision.removeprefix("force-")
    return subject_from_onnx(target, fps, frames, bare, runtime)


def _folder(target: Path | None) -> Path:
    from edge.bundle import default_bundle_dir  # noqa: PLC0415

    place = target or default_bundle_dir()
    return place.parent if place.suffix == ".onnx" else place


def _load(path: Path) -> Report:
    from edge.profile_types import Report  # noqa: PLC0415

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
