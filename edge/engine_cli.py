"""The commands ``mmrphys engine build|list|verify|clean``. Importing them needs neither TensorRT nor numpy."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import msgspec
import typer

from edge.errors import BundleError, EngineError, MissingExtraError, UsageError
from edge.interrupt import stop_on_signal
from edge.vitals import Mode

if TYPE_CHECKING:  # commands import their work when called
    from edge.bundle import Bundle, Graph
    from edge.engine_build import Progress, Span
    from edge.engines import EngineCache, Entry, Machine

__all__ = ["build_bar", "engine"]

engine = typer.Typer(help="Engines for NVIDIA GPUs: built here from a bundle, kept, checked and removed.")

CacheOption = Annotated[
    Path | None, typer.Option("--cache", metavar="DIR", help="Folder of the engines. Default: the user's cache.")
]
JsonSwitch = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


@engine.command()
def build(
    bundle: Annotated[Path | None, typer.Argument(metavar="BUNDLE", help="Default: the bundle of the package.")] = None,
    *,
    precision: Annotated[
        list[str] | None, typer.Option(help="Number formats, repeated for several. Default: what run takes.")
    ] = None,
    mode: Annotated[
        list[str] | None, typer.Option(help="Kinds of graph, repeated for both. Default: exact, which run takes.")
    ] = None,
    batch: Annotated[
        str, typer.Option(metavar="N|MIN:OPT:MAX", help="Windows a call; run takes 1, others are for your programs.")
    ] = "1",
    timing_cache: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Start from these measurements, of a kit that you trust.")
    ] = None,
    save_timing_cache: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the measurements there, to be carried in a kit.")
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Build even what is there already.")] = False,
    cache: CacheOption = None,
    as_json: JsonSwitch = False,
) -> None:
    """Build the engine that run takes of a bundle, or others, for this machine. One that is there and sound is kept."""
    from edge.bundle import load_bundle  # noqa: PLC0415
    from edge.engine_build import STREAM_SPAN, BuildStoppedError, find_tensorrt  # noqa: PLC0415
    from edge.engines import engine_from_graph, fingerprint_of, machine_of  # noqa: PLC0415

    clips, measured = _span(batch), _timing(timing_cache)
    trt, place = find_tensorrt(), _cache(cache)
    graphs = _graphs(load_bundle(bundle), precision or ["auto"], _modes(mode or ["exact"]))
    machine, done = machine_of(trt), []
    unfit = _cannot_run(machine)
    with stop_on_signal() as stop, build_bar(stop, shown=not as_json) as progress:
        for graph in graphs:
            span = STREAM_SPAN if graph.entry.mode == "stream" else clips
            wanted = fingerprint_of(graph, span, machine)
            try:
                made = engine_from_graph(
                    trt, graph, wanted, place, span=span, progress=progress, timing=measured, anew=anew
                )
            except BuildStoppedError as error:
                raise KeyboardInterrupt from error
            path = str(place.path(graph.name, wanted))
            done.append({"graph": graph.name, "engine": path, "why": made.why, "runs_here": not unfit})
    if save_timing_cache:
        _save(save_timing_cache, place.load_timing(machine))
    lines = [f"{one['graph']}: {one['why']}" for one in done] + [f"none of it runs here: {unfit}"] * bool(unfit)
    typer.echo(msgspec.json.encode(done) if as_json else "\n".join(lines))


@engine.command("list")
def list_(*, cache: CacheOption = None, as_json: JsonSwitch = False) -> None:
    """Show the engines there are, and which of them can be used here."""
    entries = list(_cache(cache).entries(_machine_if_any()))
    _show(entries, as_json=as_json)
    if not (entries or as_json):
        typer.echo(f"no engines in {_cache(cache).folder}; build some with: mmrphys engine build")


@engine.command()
def verify(*, cache: CacheOption = None, as_json: JsonSwitch = False) -> None:
    """Check every engine against this machine's key, GPU and TensorRT. Ends with 4 when one is refused."""
    from edge.engine_build import find_tensorrt  # noqa: PLC0415
    from edge.engines import machine_of  # noqa: PLC0415

    entries = list(_cache(cache).entries(machine_of(find_tensorrt())))
    _show(entries, as_json=as_json)
    if refused := [entry for entry in entries if entry.refused]:
        seen = f"{len(refused)} of {len(entries)} engines are refused"
        raise EngineError(f"{seen}; 'mmrphys engine clean' removes them, 'mmrphys engine build' makes new ones")


@engine.command()
def clean(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that can be used.")] = False,
    cache: CacheOption = None,
) -> None:
    """Remove the engines that cannot be used here, and what killed builds left."""
    for path in _cache(cache).clean(_machine_if_any(), everything=everything):
        typer.echo(f"removed {path}")


def _cache(folder: Path | None) -> EngineCache:
    from edge.engines import default_cache  # noqa: PLC0415

    return default_cache(folder)


def _machine_if_any() -> Machine | None:
    """What machine it is; None without TensorRT, where only the seal of an engine can be checked."""
    from edge.engine_build import find_tensorrt  # noqa: PLC0415
    from edge.engines import machine_of  # noqa: PLC0415

    try:
        return machine_of(find_tensorrt())
    except MissingExtraError:
        return None


def _cannot_run(machine: Machine) -> str:
    """Why no engine runs on ``machine``; empty where one can. TensorRT-RTX builds without a GPU what it cannot run."""
    return "there is no CUDA driver or no GPU; engines have to be built where they run" if machine.sm == "none" else ""


def _modes(given: list[str]) -> list[Mode]:
    for one in given:
        if one not in get_args(Mode):
            raise UsageError(f"--mode {one!r}: want one of {', '.join(get_args(Mode))}")
    return cast("list[Mode]", given)


def _graphs(bundle: Bundle, precisions: list[str], wanted: list[Mode]) -> list[Graph]:
    """The graphs meant for TensorRT in these precisions and modes; BundleError for one that is missing or refused."""
    from edge.bundle import FORCE  # noqa: PLC0415

    meant = {(entry.precision, entry.mode) for entry in bundle.manifest.graphs if entry.runtime == "tensorrt"}
    found = []
    for precision in precisions:
        bare = "fp32" if precision == "auto" else precision.removeprefix(FORCE)
        for mode in wanted:
            if (bare, mode) not in meant:
                has = ", ".join(sorted(f"{one}/{kind}" for one, kind in meant)) or "none"
                seen = f"bundle {bundle.manifest.name!r} has no {bare}/{mode} graph for TensorRT"
                raise BundleError(f"{seen}; it has {has}")
            found.append(bundle.graph(mode, "tensorrt", precision))
    return found


def _span(text: str) -> Span:
    from edge.engine_build import Span  # noqa: PLC0415

    if not re.fullmatch(r"\d{1,2}(:\d{1,2}:\d{1,2})?", text):
        raise UsageError(f"--batch {text!r}: want one number, or least:usual:most, for example 1:2:4")
    numbers = [int(number) for number in text.split(":")]
    try:
        return Span(*(numbers * 3)[:3])
    except ValueError as error:
        raise UsageError(f"--batch {text}: {error}") from error


def _timing(path: Path | None) -> bytes:
    from edge.engines import MAX_TIMING_BYTES  # noqa: PLC0415

    try:
        data = path.read_bytes() if path else b""
    except OSError as error:
        raise UsageError(f"--timing-cache {path}: {error.strerror}") from error
    if len(data) > MAX_TIMING_BYTES:
        raise UsageError(f"--timing-cache {path}: {len(data)} bytes, wanted at most {MAX_TIMING_BYTES}")
    return data


def _save(path: Path, timing: bytes) -> None:
    from edge.sealed_files import write_file  # noqa: PLC0415

    write_file(path, timing)


@contextmanager
def build_bar(stop: threading.Event, *, shown: bool) -> Iterator[Progress]:
    """A progress bar on standard error, which also carries the wish to stop."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    console = Console(stderr=True)
    with Bars(console=console, disable=not (shown and console.is_terminal), transient=True) as bars:
        task: Any = bars.add_task("Building", total=1.0)

        def progress(phase: str, share: float) -> bool:
            bars.update(task, description=phase, completed=share)
            return not stop.is_set()

        yield progress


def _show(entries: list[Entry], *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode([_dict(entry) for entry in entries]))
        return
    for entry in entries:
        typer.echo(_line(entry))


def _dict(entry: Entry) -> dict[str, Any]:
    fingerprint = msgspec.to_builtins(entry.fingerprint)
    return {
        "engine": str(entry.path), "graph": entry.graph, "bytes": entry.size, "fingerprint": fingerprint,
        "refused": entry.refused,
    }  # fmt: skip


def _line(entry: Entry) -> str:
    made = entry.fingerprint
    where = f"{made.machine.tensorrt} SM {made.machine.sm} L4T {made.machine.l4t}" if made else "unknown"
    facts = [entry.path.name, made.precision if made else "?", where, f"{entry.size / 1e6:.1f} MB"]
    sound = "sound, but built without a GPU: it runs nowhere" if made and _cannot_run(made.machine) else "ok"
    return "  ".join([*facts, entry.refused or sound])
