"""The command ``mmrphys``: parse, call, print, and one line for every error.

Sub-commands are plain functions, or a ``typer.Typer`` of several, found through the entry points ``mmrphys.commands``
and imported when needed; typer turns their signatures into options. To add one: write the function in its package's
``cli.py`` (whose import must stay light), give it a row in the entry points of ``pyproject.toml`` and, for its place in
the help, its name in ``PANELS``.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from typer.core import TyperGroup
from typer.main import get_command

from edge.config import (
    Kit,
    Precision,
    RuntimeName,
    Speed,
    ThermalRoi,
    check,
    kit_from_toml,
    merge,
    option_from_key,
    toml_from_kit,
    with_zones,
)
from edge.errors import MissingExtraError, MmrphysError, UsageError
from edge.interrupt import stop_on_signal
from edge.log_lines import ScrubbingFormatter, traceback_lines
from edge.uri import nearest, without_secrets
from edge.vitals import Mode

if TYPE_CHECKING:  # it imports numpy
    from edge.recording import RecordingPlan

__all__ = ["check_stdout", "main", "run", "schema", "start"]

DISTRIBUTION = "mmrphys-edge"

PANELS: dict[str, tuple[str, ...]] = {
    "Run": ("run", "record", "replay", "recover", "measure", "simulate"),
    "Links": ("schema", "serial", "fleet", "convert"),
    "Models": ("train", "evaluate", "compare", "import", "export", "bundle", "engine", "profile"),
    "Calibrate": ("calibrate",),
    "Device": ("setup", "doctor", "cameras", "validate", "service"),
}
"""Where a command stands in the help, in this order. A name that no package contributes is reserved for later."""

EPILOG = (
    "Exit codes: 0 done, 2 bad usage or configuration, 3 input unusable, 4 bundle refused, 5 runtime fault, "
    "6 evidence too weak, 130 interrupted; 1 from fleet: one is away. A run that a signal stops ends in order with 0. "
    "Anywhere on the line: --debug for tracebacks, -v for more log lines."
)
GLOBAL_SWITCHES = frozenset({"--debug", "--verbose", "-v"})

CommandLineError = typer.BadParameter.__bases__[0]
"""What typer raises for a wrong command line; the parent of ``BadParameter`` has no public name of its own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and give its exit code; ``edge/errors.py`` lists the codes.

    A command cut short by SIGINT gives 130, without a word. ``run`` handles its signals itself.
    """
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    switches = [word for word in given if word in GLOBAL_SWITCHES]
    words = switches + [word for word in given if word not in GLOBAL_SWITCHES]
    try:
        code = get_command(app).main(words, prog_name="mmrphys", standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - the edge of the program: whatever went wrong ends as one line and a code
        if "--debug" in switches or os.environ.get("MMRPHYS_DEBUG", "0") not in {"", "0"}:
            typer.echo(traceback_lines(error), nl=False, err=True)
        code, message = _explained(error)
        typer.echo(f"mmrphys: {without_secrets(' '.join(message.split()))}", err=True)
    return code if isinstance(code, int) else 0


def _explained(error: Exception) -> tuple[int, str]:
    """Exit code and message for an error that ended a command."""
    if isinstance(error, MmrphysError):
        return error.exit_code, str(error)
    if isinstance(error, CommandLineError):
        return UsageError.exit_code, _command_line_message(error)
    seen = f"{type(error).__name__}: {error}"
    return MmrphysError.exit_code, f"internal error: {seen}; run with --debug for the traceback"


def _command_line_message(error: Any) -> str:
    if hasattr(error, "possibilities"):  # an option that does not exist
        known = [name for parameter in error.ctx.command.params for name in parameter.opts if name.startswith("--")]
        return f"{error.ctx.info_name} has no option {error.option_name!r}{nearest(error.option_name, known)}"
    command = error.ctx.command_path if error.ctx else "mmrphys"
    return f"{error.format_message().rstrip('.')}; see {command} --help"


class _Commands(TyperGroup):
    """The sub-commands that the installed packages contribute."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        found = _entry_points()
        placed = [name for names in PANELS.values() for name in names if name in found]
        return placed + sorted(found.keys() - set(placed))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        entry = _entry_points().get(cmd_name)
        if entry is None:
            return None
        panel = next((panel for panel, names in PANELS.items() if cmd_name in names), None)
        found = entry.load()
        single = typer.Typer(add_completion=False, context_settings=app.info.context_settings)
        if isinstance(found, typer.Typer):  # a group: `single` is the program around it
            single.add_typer(found, name=cmd_name, rich_help_panel=panel, epilog=EPILOG)
            around: Any = get_command(single)
            return around.commands[cmd_name]
        single.command(cmd_name, rich_help_panel=panel, epilog=EPILOG)(found)
        return get_command(single)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, known = args[0], self.list_commands(ctx)
        if name in known:
            return super().resolve_command(ctx, args)
        if any(name in names for names in PANELS.values()):
            raise UsageError(f"the command {name} is planned and not built yet in this version{nearest('', known)}")
        raise UsageError(f"there is no command {name!r}{nearest(name, known)}")

    def invoke(self, ctx: Any) -> Any:
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except ModuleNotFoundError as error:
            _raise_missing_extra(error, ctx.invoked_subcommand or "")
            raise
        except BrokenPipeError:  # the reader of our output has seen enough; nothing may be written at exit either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return code


def _entry_points() -> dict[str, metadata.EntryPoint]:
    return {entry.name: entry for entry in metadata.entry_points(group="mmrphys.commands")}


def _raise_missing_extra(error: ModuleNotFoundError, command: str) -> None:
    """MissingExtraError when the module belongs to an extra of this distribution (the command's own, where it can)."""
    module = (error.name or "").partition(".")[0]
    extras = [
        match["extra"]
        for text in metadata.requires(DISTRIBUTION) or []
        if (match := re.match(rf"{re.escape(module)}\b.*extra == ['\"](?P<extra>\w+)", text))
    ]
    if extras:
        extra = command if command in extras else min(set(extras) - {"dev", "test"}, default="dev")
        wanted = f"install it with: pip install '{DISTRIBUTION}[{extra}]'"
        raise MissingExtraError(f"{command} needs {module}, which is not installed; {wanted}") from error


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mmrphys {metadata.version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def program(
    *,
    version: Annotated[  # noqa: ARG001 - answered by its callback, before any command
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks with errors.")] = False,  # noqa: ARG001 - see main
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More log lines (on stderr).")] = False,
) -> None:
    """Pulse and breathing from RGB and thermal face video, on the device. Research use, not a medical device."""
    handler = logging.StreamHandler()
    handler.setFormatter(ScrubbingFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for package in ("edge", "training", "export", "calibration"):
        logging.getLogger(package).setLevel(logging.DEBUG if verbose else logging.INFO)


def _option(key: str, metavar: str | None, text: str) -> Any:
    """The option that sets one key of the kit. It has no default itself, so that one can tell what was given."""
    default = next(field.default for field in msgspec.structs.fields(Kit) if field.name == key)
    if default not in {None, msgspec.NODEFAULT}:
        text += f" Default: {' '.join(default) if isinstance(default, tuple) else default}"
    return typer.Option(option_from_key(key), metavar=metavar, help=text)


def run(
    *,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A kit.toml; options given here win over it.")
    ] = None,
    rgb: Annotated[
        str | None, _option("rgb", "URI", "RGB camera, for example v4l2:/dev/video0 or synthetic:?hr=72")
    ] = None,
    thermal: Annotated[str | None, _option("thermal", "URI", "Thermal camera, or none.")] = None,
    rig: Annotated[str | None, _option("rig", "FILE", "Camera geometry (rig.json).")] = None,
    bundle: Annotated[
        str | None, _option("bundle", "DIR|current", "A bundle's folder, or the installed one; without: the package's.")
    ] = None,
    keys: Annotated[str | None, _option("keys", "DIR", "Folder of trusted keys, for a signed bundle.")] = None,
    store: Annotated[str | None, _option("store", "DIR", "Folder of installed bundles.")] = None,
    sink: Annotated[list[str] | None, _option("sinks", "URI", "Where records go; repeat for several.")] = None,
    mode: Annotated[
        Mode | None, _option("mode", None, "Whole windows, or a guarded stream: waves at once, less work a frame.")
    ] = None,
    hop: Annotated[float | None, _option("hop_s", "SECONDS", "Seconds between two inferences.")] = None,
    speed: Annotated[Speed | None, _option("speed", None, "Pace of files and scenes.")] = None,
    runtime: Annotated[RuntimeName | None, _option("runtime", None, "Inference engine.")] = None,
    precision: Annotated[Precision | None, _option("precision", None, "Number format of the graph.")] = None,
    seconds: Annotated[float | None, _option("seconds", "N", "Stop after this much stream time.")] = None,
    device_id: Annotated[str | None, _option("device_id", "ID", "Name of this device in records.")] = None,
    zone: Annotated[
        list[str] | None,
        _option(
            "zone",
            "NAME[=BOX]",
            "Bed watched: NAME, or NAME=LEFT,TOP,RIGHT,BOTTOM (shares of the picture); repeat.",
        ),
    ] = None,
    people: Annotated[int | None, _option("people", "N", "Faces followed at most. Default: one, or one a zone")] = None,
    detector: Annotated[str | None, _option("detector", "NAME", "Face detector: haar, or yunet:MODEL.onnx.")] = None,
    thermal_roi: Annotated[
        ThermalRoi | None,
        _option("thermal_roi", None, "Face in thermal: where it is in RGB, or the warm face found there."),
    ] = None,
    check_only: Annotated[bool, typer.Option("--check", help="Try cameras, bundle and sinks, then stop.")] = False,
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the kit.toml of this run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON summary on stdout at the end.")] = False,
) -> int:
    """Measure pulse and breathing: frames in, records out."""
    options = {
        "rgb": rgb, "thermal": thermal, "rig": rig, "bundle": bundle, "keys": keys, "store": store,
        "sinks": sink, "mode": mode, "hop_s": hop, "speed": speed, "runtime": runtime, "precision": precision,
        "seconds": seconds, "device_id": device_id, "people": people, "detector": detector, "thermal_roi": thermal_roi,
    }  # fmt: skip
    return start(options, config, zones=zone or [], check_only=check_only, print_config=print_config, as_json=as_json)


def start(
    options: Mapping[str, Any],
    config: Path | None,
    *,
    zones: Sequence[str],
    check_only: bool,
    print_config: bool,
    as_json: bool,
    recording: RecordingPlan | None = None,
) -> int:
    """Run what a configuration, options (by the kit's keys) and ``--zone`` describe; gives the exit code."""
    kit = with_zones(merge(kit_from_toml(config) if config else Kit(), options), zones)
    check(kit)
    if print_config:
        typer.echo(toml_from_kit(kit), nl=False)
        return 0
    if as_json and not options["sinks"]:
        kit = msgspec.structs.replace(kit, sinks=tuple(uri for uri in kit.sinks if not uri.startswith("console:")))
    check_stdout(kit.sinks, as_json)
    with stop_on_signal() as stop:
        if kit.bundle != "current":  # that one has a trial, and another to fall back to
            from edge.bundle_store import bundle_named  # noqa: PLC0415 - commands import their work when called

            bundle_named(kit.bundle, kit.keys, kit.store)  # is refused before anything slow is imported
        from edge.app import run_kit  # noqa: PLC0415 - likewise

        return run_kit(kit, check=check_only, as_json=as_json, stop=stop, recording=recording)


def check_stdout(sinks: Iterable[str], as_json: bool) -> None:
    """Standard output has room for one writer; UsageError for more."""
    writers = [uri for uri in sinks if uri.startswith(("console:", "jsonl:-"))] + ["--json"] * as_json
    if len(writers) > 1:
        raise UsageError(f"{' and '.join(writers)} would both write to standard output; keep one of them")


def schema(
    *, _json: Annotated[bool, typer.Option("--json", help="Accepted; the schema is JSON anyway.")] = False
) -> None:
    """Print the JSON Schema of the records."""
    from edge.sinks.records import json_schema  # noqa: PLC0415 - commands import their work when called

    typer.echo(json.dumps(json_schema(), indent=2))
