"""The commands ``mmrphys simulate`` and ``mmrphys fleet``. Importing them needs no numpy."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from edge.errors import EvidenceError, UsageError
from edge.interrupt import stop_on_signal

if TYPE_CHECKING:
    from edge.sinks.broker import Broker

__all__ = ["fleet", "simulate"]


def simulate(
    *,
    kits: Annotated[int, typer.Option(metavar="N", min=1, max=5000, help="How many kits.")] = 10,
    seconds: Annotated[float, typer.Option(metavar="S", min=1.0, help="For how long.")] = 30.0,
    broker: Annotated[
        str, typer.Option(metavar="URI", help="A broker of yours, as for --sink; outbox= is where records wait.")
    ] = "mqtt://127.0.0.1:1883/simulated",
    faults: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="restarts=60: each kit restarts every 60 s on average; cuts=20:3: every 20 s all links are cut for "
            "3 s; a comma between both.",
        ),
    ] = "",
    seed: Annotated[int, typer.Option(metavar="N", help="Same seed, same patients and faults.")] = 0,
    waves: Annotated[bool, typer.Option("--waves", help="Send waveforms too, one second a message.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON on stdout.")] = False,
) -> None:
    """Let made-up kits send to a real broker, and count what of it arrives, how often and how late."""
    from rich.console import Console  # noqa: PLC0415 - commands import their work when called

    from edge.fleet.faults import faults_from_text  # noqa: PLC0415
    from edge.fleet.outcome import lines_from_outcome  # noqa: PLC0415
    from edge.fleet.simulate import Plan  # noqa: PLC0415
    from edge.fleet.simulate import simulate as run  # noqa: PLC0415

    plan = Plan(kits, seconds, faults_from_text(faults), seed, waves)
    with stop_on_signal() as stop, _errors_only("edge.sinks"):  # hundreds of links come and go on purpose
        outcome = run(plan, _broker(broker), stop)
    if as_json:
        typer.echo(json.dumps(outcome.as_dict(), indent=2))
    else:
        Console(highlight=False, markup=False, emoji=False).print("\n".join(lines_from_outcome(outcome)))
    if not outcome.verdict.clean:
        raise EvidenceError(
            f"{outcome.verdict.lost} records were lost and {outcome.verdict.strange} are strange; if the kits dropped "
            "none, see what the broker does when a subscriber is slow (Mosquitto: max_queued_messages)"
        )


def fleet(
    *,
    broker: Annotated[
        str, typer.Argument(metavar="URI", help="The broker and site: mqtts://broker:8884/ward-2?ca=...")
    ],
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            min=1.0,
            help="Look for that long. Default: until interrupted; with --json or without a terminal until each kit was "
            "heard or is offline, at most 25 s.",
        ),
    ] = None,
    vitals: Annotated[
        bool, typer.Option("--vitals", help="Rates too. Without it no measurement is asked for.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON on stdout at the end.")] = False,
) -> int:
    """Show the kits of a site: who is there, since when silent, how warm, what was dropped. Reads only.

    The exit code is 1 when a kit is offline or silent, or when there is none.
    """
    from edge.fleet.watch import watch  # noqa: PLC0415 - commands import their work when called

    live = not as_json and sys.stdout.isatty()
    with stop_on_signal() as stop:
        return watch(_broker(broker), stop, seconds=seconds, vitals=vitals, as_json=as_json, live=live)


@contextmanager
def _errors_only(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _broker(text: str) -> Broker:
    from edge.sinks.broker import broker_from_uri  # noqa: PLC0415 - commands import their work when called
    from edge.uri import parse_uri  # noqa: PLC0415

    if not text.startswith(("mqtt://", "mqtts://")):
        raise UsageError(f"{text.partition(':')[0]}: is no broker; want mqtts://broker/site or mqtt://127.0.0.1/site")
    return broker_from_uri(parse_uri(text, "broker", ("mqtt", "mqtts")), allow_plaintext=False)
