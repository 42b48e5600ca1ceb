"""The commands ``mmrphys serial decode|layout|arduino``. Importing them needs neither pyserial nor numpy."""

from __future__ import annotations

import json
import select
import shutil
import stat
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from edge.errors import InputError, UsageError
from edge.interrupt import stop_on_signal

if TYPE_CHECKING:  # commands import their work when called
    from edge.sinks.serial_decode import Heard, SerialDecoder

__all__ = ["serial"]

serial = typer.Typer(help="The serial link: what a kit sends, and libraries to read it.")

_LIBRARY = Path(__file__).parent / "arduino" / "MmrphysLink"
_LOOK_S = 0.2
_CHUNK = 65_536


@serial.command()
def decode(
    source: Annotated[Path, typer.Argument(metavar="PORT|FILE", help="A serial port, or a file of what one sent.")],
    *,
    profile: Annotated[Literal["auto", "line", "csv", "frame"], typer.Option(help="What is sent.")] = "auto",
    baud: Annotated[int, typer.Option(min=300, max=4_000_000, help="Bits a second of a port.")] = 115_200,
    seconds: Annotated[float | None, typer.Option(metavar="N", help="Stop reading a port after this long.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each line or frame.")] = False,
) -> None:
    """Print what a kit sends: the reference decoder of all three profiles. It only listens."""
    from edge.sinks.serial_decode import ProfileName, SerialDecoder, words_from_heard  # noqa: PLC0415

    decoder = SerialDecoder(get_args(ProfileName) if profile == "auto" else (profile,))
    with stop_on_signal() as stop:
        try:
            for heard in _heard(source, decoder, baud, seconds, stop):
                typer.echo(json.dumps(heard.as_dict()) if as_json else words_from_heard(heard))
        finally:
            counts = ", ".join(f"{count} {name}" for name, count in decoder.counts.items())
            typer.echo(f"{decoder.profile or 'no profile recognised'}: {counts}", err=True)
    if not decoder.counts["good"]:
        raise InputError(f"{source} gave nothing sound in profile {profile}; check baud rate, wiring and --profile")


@serial.command()
def layout() -> None:
    """Print what the frames of profile frame are made of, byte by byte."""
    from edge.sinks.serial_decode import layout_lines  # noqa: PLC0415

    typer.echo("\n".join(layout_lines()))


@serial.command()
def arduino(
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Copy it there, for example ~/Arduino/libraries.")
    ] = None,
) -> None:
    """Say where the Arduino library (C99, no dependencies) is, or copy it."""
    if out is None:
        typer.echo(str(_LIBRARY))
        return
    place = out / _LIBRARY.name
    try:
        shutil.copytree(_LIBRARY, place, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise UsageError(f"cannot copy to {place}: {error}; name a folder you may write to") from error
    typer.echo(str(place))


def _heard(
    source: Path, decoder: SerialDecoder, baud: int, seconds: float | None, stop: threading.Event
) -> Iterator[Heard]:
    try:
        is_port = stat.S_ISCHR(source.stat().st_mode)
        chunks = _from_port(source, baud, seconds, stop) if is_port else _from_file(source, stop)
        for chunk in chunks:
            yield from decoder.feed(chunk)
    except (OSError, termios.error, ValueError) as error:  # a lost port raises either; ValueError: its baud rate
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{source}: {reason}; name a file, or a port that is plugged in and free") from error


def _from_file(path: Path, stop: threading.Event) -> Iterator[bytes]:
    with path.open("rb") as file:
        while not stop.is_set() and (chunk := file.read(_CHUNK)):
            yield chunk


def _from_port(path: Path, baud: int, seconds: float | None, stop: threading.Event) -> Iterator[bytes]:
    from edge.sinks.serial_port import SerialPort  # noqa: PLC0415

    end_s = None if seconds is None else time.monotonic() + seconds
    port = SerialPort(str(path), baud)
    try:
        while not stop.is_set() and (end_s is None or time.monotonic() < end_s):
            if select.select([port], [], [], _LOOK_S)[0]:
                yield port.read()
    finally:
        port.close()
