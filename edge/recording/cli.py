"""The commands ``mmrphys record``, ``replay`` and ``recover``. Importing it needs no numpy."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from edge.cli import check_stdout, run, start
from edge.config import Precision, RuntimeName, Speed
from edge.errors import UsageError
from edge.interrupt import stop_on_signal

__all__ = ["record", "recover", "replay"]

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_LEAST = 10**6


def _with_the_options_of(other: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For a command that takes the options of another one beside its own, as ``**options``."""

    def shown(command: Callable[..., Any]) -> Callable[..., Any]:
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
        theirs = inspect.signature(other, eval_str=True).parameters.values()
        command.__signature__ = inspect.Signature([*own, *theirs])  # type: ignore[attr-defined]
        return command

    return shown


@_with_the_options_of(run)
def record(
    *,
    out: Annotated[Path, typer.Option(metavar="FILE.mcap", help="The recording: a new file.")],
    full_frames: Annotated[
        bool, typer.Option("--full-frames", help="Keep whole RGB pictures; without it, the enlarged faces alone.")
    ] = False,
    quota: Annotated[
        str, typer.Option(metavar="SIZE", help="End the recording, and not the run, before its file is larger.")
    ] = "8GB",
    consent: Annotated[
        str, typer.Option(metavar="TEXT", help="Who agreed to the recording, and to what; kept in the file.")
    ] = "not stated",
    **options: Any,
) -> int:
    """Run, and record what it takes to make the same records again. Faces of people are in the file."""
    from edge.recording import RecordingPlan  # noqa: PLC0415 - commands import their work when called

    plan = RecordingPlan(out, full_frames, _bytes_from_size(quota), consent)
    keys = {"config", "check_only", "print_config", "as_json"}
    zones = options.pop("zone") or []
    wanted = {{"sink": "sinks", "hop": "hop_s"}.get(key, key): options[key] for key in options.keys() - keys}
    return start(wanted, zones=zones, **{key: options[key] for key in keys}, recording=plan)


def replay(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE.mcap", help="A recording of mmrphys record.")],
    sink: Annotated[list[str] | None, typer.Option(metavar="URI", help="Where records go. Default: console:")] = None,
    bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the model bundle, instead of the default one.")
    ] = None,
    speed: Annotated[Speed, typer.Option(help="Pace of the recording.")] = "realtime",
    runtime: Annotated[RuntimeName, typer.Option(help="Inference engine.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="Number format of the graph.")] = "auto",
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare with the records inside; a difference ends with 6.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON summary on stdout at the end.")] = False,
) -> int:
    """Run the pipeline on a recording: the same records again."""
    sinks = tuple(sink or ([] if as_json or verify else ["console:"]))
    check_stdout(sinks, as_json)
    with stop_on_signal() as stop:
        from edge.recording.run import Wish, replay_file  # noqa: PLC0415 - commands import their work when called

        wish = Wish(sinks, bundle, "max" if verify else speed, runtime, precision, verify)
        return replay_file(file, wish, as_json=as_json, stop=stop)


def recover(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE.mcap", help="A recording that was cut short or damaged.")],
    out: Annotated[Path, typer.Option(metavar="FIXED.mcap", help="What could be kept: a new file.")],
) -> None:
    """Make a whole file of a recording that was cut short."""
    from edge.recording.recover import recover as recovered  # noqa: PLC0415 - commands import their work when called

    found = recovered(file, out)
    kept = ", ".join(f"{count} {topic}" for topic, count in sorted(found.messages.items())) or "no message"
    typer.echo(f"{out}: {kept}; {found.span_s:.1f} s", err=True)
    if found.why:
        typer.echo(f"{file}: {found.why}; {found.left_out_bytes} bytes at its end were left out", err=True)


def _bytes_from_size(text: str) -> int:
    """Bytes from ``500MB``, ``8GB``, ``1000000``; UsageError for anything else and for less than 1 MB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B)?", text.strip().upper())
    size = round(float(found[1]) * _UNITS[found[2] or "B"]) if found else 0
    if size < _LEAST:
        raise UsageError(f"--quota {text}: want a size of at least 1MB, for example 500MB or 8GB")
    return size
