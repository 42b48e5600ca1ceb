"""The command ``mmrphys measure``. Importing it needs no numpy."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from edge.config import Kit, Precision, RuntimeName, Speed, check, kit_from_toml, merge
from edge.errors import EvidenceError, FaultError, MmrphysError, UsageError
from edge.interrupt import stop_on_signal
from edge.uri import without_secrets
from edge.vitals import Mode

if TYPE_CHECKING:  # commands import their work when called
    from edge.measure import Measurement
    from edge.measure_report import Report
    from edge.pipeline import Output

__all__ = ["measure"]


def measure(
    *,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="A kit.toml; options given here win.")] = None,
    rgb: Annotated[str | None, typer.Option(metavar="URI", help="RGB camera, for example v4l2:/dev/video0")] = None,
    thermal: Annotated[str | None, typer.Option(metavar="URI", help="Thermal camera, or none.")] = None,
    seconds: Annotated[
        float, typer.Option(metavar="N", min=1.0, max=3600.0, help="How long. HR needs about 10, RR about 25.")
    ] = 30.0,
    bundle: Annotated[str | None, typer.Option(metavar="DIR", help="Model bundle, instead of the default one.")] = None,
    mode: Annotated[Mode | None, typer.Option(help="Whole windows, or frame by frame.")] = None,
    runtime: Annotated[RuntimeName | None, typer.Option(help="Inference engine.")] = None,
    precision: Annotated[Precision | None, typer.Option(help="Number format of the graph.")] = None,
    speed: Annotated[Speed, typer.Option(help="Pace of files and scenes.")] = "max",
    out: Annotated[
        Path, typer.Option(metavar="FILE.png", help="Picture of waveforms and spectra; it is replaced.")
    ] = Path("measure.png"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Measure once: rates, how sure they are, reasons where one is withheld, and a picture.

    Ends with 6 when no rate could be trusted. Ctrl-C ends it early.
    """
    _check_out(out)
    options = {
        "rgb": rgb, "thermal": thermal, "bundle": bundle, "mode": mode, "runtime": runtime, "precision": precision,
    }  # fmt: skip
    kit = merge(kit_from_toml(config) if config else Kit(), options)
    kit = msgspec.structs.replace(kit, seconds=seconds, speed=speed, sinks=())
    check(kit)
    with stop_on_signal() as stop:
        from edge.app import run_kit  # noqa: PLC0415 - commands import their work when called
        from edge.measure import Measurement  # noqa: PLC0415
        from edge.measure_report import report_from_measurement  # noqa: PLC0415

        measurement, broke = Measurement(), None
        with _countdown(measurement, seconds) as shown:

            def watch(output: Output) -> None:
                measurement.take(output)
                shown()

            try:
                run_kit(kit, check=False, as_json=False, stop=stop, watch=watch)
            except MmrphysError as error:
                if measurement.newest is None:
                    raise
                broke = error  # what was seen until then is told first
    report = report_from_measurement(measurement, _source(kit))
    _tell(report, out, as_json=as_json)
    if broke is not None:
        raise broke
    if not report.trustworthy:
        raise EvidenceError(_nothing_trustworthy(report))


def _tell(report: Report, out: Path, *, as_json: bool) -> None:
    """Write the picture and print the result."""
    from edge.measure_picture import png_from_measured  # noqa: PLC0415
    from edge.measure_report import dict_from_report, lines  # noqa: PLC0415
    from edge.sinks.clocks import clock_synced, rfc3339_from_ns  # noqa: PLC0415
    from edge.sinks.records import NOTICE  # noqa: PLC0415

    try:
        out.write_bytes(png_from_measured(report.rates, report.seconds, report.source, NOTICE))
    except OSError as error:
        raise FaultError(f"--out {out}: {error.strerror}; name a file in a folder you may write to") from error
    ended = {"time": rfc3339_from_ns(time.time_ns()), "clock": "synced" if clock_synced() else "free"}
    if as_json:
        typer.echo(json.dumps(dict_from_report(report) | {"picture": str(out)} | ended, indent=2))
        return
    width = min(100, shutil.get_terminal_size().columns)
    typer.echo("\n".join([*lines(report, width), f"picture: {out}", f"ended: {ended['time']}"]))


def _nothing_trustworthy(report: Report) -> str:
    """Why the command ends with 6, in one line: the first reason of each rate."""
    if not report.seconds:
        return "stopped before anything was seen; give it some seconds"
    first = [f"{name.upper()}: {rate.why[0].sentence}; {rate.why[0].fix}" for name, rate in report.rates.items()
             if rate.why]  # fmt: skip
    return f"no rate could be trusted in {report.seconds:.0f} s. {'. '.join(first)}"


def _source(kit: Kit) -> str:
    named = [kit.rgb, *([kit.thermal] if kit.thermal not in (None, "none") else [])]
    return " and ".join(without_secrets(uri) for uri in named if uri)


def _check_out(out: Path) -> None:
    """UsageError, before any time is spent, where the picture cannot go."""
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out}: the picture is a PNG; name a file that ends with .png")
    if out.is_dir() or not os.access(out if out.exists() else out.parent, os.W_OK):
        raise UsageError(f"--out {out}: cannot be written; name a file in a folder you may write to")


@contextmanager
def _countdown(measurement: Measurement, seconds: float) -> Iterator[Callable[[], None]]:
    """A bar on a terminal's standard error, brought up to date by the function; nothing elsewhere."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from edge.measure_report import newest_text  # noqa: PLC0415

    came_s = time.monotonic()

    class Newest(ProgressColumn):
        """Drawn again and again, so that a value gets old on the screen when no look comes."""

        def render(self, task: Task) -> Text:  # noqa: ARG002 - the base class's
            return Text(newest_text(measurement.newest, 1000 * (time.monotonic() - came_s)))

    bar = Progress(
        BarColumn(20), TextColumn("{task.completed:3.0f} of {task.total:.0f} s"), Newest(),
        console=Console(stderr=True, highlight=False), transient=True,
    )  # fmt: skip
    if not bar.console.is_terminal:
        yield lambda: None
        return
    task = bar.add_task("", total=seconds)

    def show() -> None:
        nonlocal came_s
        came_s = time.monotonic()
        bar.update(task, completed=min(measurement.seconds, seconds))

    with bar:
        yield show
