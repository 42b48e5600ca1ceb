"""The conversation: cameras, the rate they reach, links, names; what comes out is a kit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from edge.cameras import Camera, camera_from_uri
from edge.cameras.listing import FoundCamera, found_cameras
from edge.config import Kit, merge
from edge.doctor import receiver as hl7
from edge.errors import InputError, MmrphysError
from edge.frames import FrameKind
from edge.holders import Holder, holders_of
from edge.serial_ports import serial_ports
from edge.setup.ask import Asker
from edge.setup.links import FoundBroker, found_brokers
from edge.setup.rate import Reached, reached
from edge.sinks.hl7 import Receiver, receiver_from_uri
from edge.sinks.peer import address_from_uri, is_loopback
from edge.uri import Uri, parse_uri, without_secrets

__all__ = ["SYNTHETIC", "Surroundings", "kit_from_answers"]

SYNTHETIC = "synthetic:"
_TRIES = 5
"""Cameras that a person may try before set-up gives up."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How set-up looks at its machine; tests give another one."""

    cameras: Callable[[], list[FoundCamera]] = found_cameras
    camera_from_uri: Callable[[str, FrameKind], Camera] = camera_from_uri
    reached: Callable[[Sequence[Camera]], list[Reached]] = reached
    brokers: Callable[[], list[FoundBroker]] = found_brokers
    ports: Callable[[], list[str]] = serial_ports
    holders: Callable[[str], tuple[list[Holder], int]] = holders_of
    receiver_refusal: Callable[[Receiver], str | None] = hl7.refusal


def kit_from_answers(machine: Surroundings, asker: Asker, say: Callable[[str], None]) -> Kit:
    """The kit that somebody, or the defaults, chose of what there is; ``say`` is told everything on the way.

    Raises
    ------
    InputError
        No RGB camera could be used.
    UsageError
        A name that cannot stand in a topic; nobody answers.
    """
    found = _told_cameras(machine, say)
    rgb = _chosen_rgb(found, machine, asker, say)
    thermal = _chosen_thermal(found, rgb, machine, asker, say)
    device = asker.text("Name of this device", Kit().device_id)
    zone = asker.text("Name of the bed or place", "main")
    kit = merge(Kit(), {"rgb": rgb, "thermal": thermal, "device_id": device, "zone": zone})
    links = (_chosen_brokers, _chosen_receiver, _chosen_ports)
    sinks = [*kit.sinks, *(uri for choose in links for uri in choose(machine, asker, say))]
    return msgspec.structs.replace(kit, sinks=tuple(sinks))


# ------------------------------------------------------------------------------------------------ cameras


def _told_cameras(machine: Surroundings, say: Callable[[str], None]) -> list[FoundCamera]:
    """The cameras that can be used, the RGB ones first, after all were told; a scene when there is none."""
    say("Cameras")
    found = machine.cameras()
    for one in found:
        if not one.usable:
            say(f"     {one.name} ({one.kind}): {one.problem}; {one.fix}")
    usable = sorted((one for one in found if one.usable), key=lambda one: one.kind == "thermal")
    if not any(one.kind == "rgb" for one in usable):
        say("     no RGB camera can be used; the synthetic scene, which is no patient, stands in to try the rest")
        usable = [FoundCamera("", SYNTHETIC, "rgb", "SYNTHETIC scene, not a camera", ""), *usable]
    for number, one in enumerate(usable, 1):
        say(f"  {number}  {one.name} ({one.kind}): --{one.kind} {one.uri}")
    return usable


def _chosen_rgb(found: list[FoundCamera], machine: Surroundings, asker: Asker, say: Callable[[str], None]) -> str:
    """The URI of an RGB camera that gives frames. One that does not is left out of the next question."""
    options = [one.uri for one in found if one.kind == "rgb"]
    for _ in range(_TRIES):
        uri = asker.one_of("RGB camera", options, 1 if options else 0)
        if not uri:
            break
        try:
            _watch([(uri, "rgb")], machine, say)
        except MmrphysError as error:
            say(f"     {error}")
            options = [other for other in options if other != uri]
        else:
            return uri
    raise InputError(
        "no RGB camera was chosen that can be used; plug one in, or name its address with --rgb to measure"
    )


def _chosen_thermal(
    found: list[FoundCamera], rgb: str, machine: Surroundings, asker: Asker, say: Callable[[str], None]
) -> str | None:
    """The URI of a thermal camera, or ``none``; None where a scene brings its own."""
    if rgb.startswith(SYNTHETIC):
        return None
    options = [one.uri for one in found if one.kind == "thermal"]
    uri = asker.one_of("Thermal camera", options, 1 if options else 0)
    if uri:
        try:
            _watch([(rgb, "rgb"), (uri, "thermal")], machine, say)
        except MmrphysError as error:
            say(f"     {error}; going on without a thermal camera")
        else:
            return uri
    say("     no thermal camera: RR is read from RGB alone and is at best low_quality unless its own quality is high")
    return "none"


def _watch(chosen: Sequence[tuple[str, FrameKind]], machine: Surroundings, say: Callable[[str], None]) -> None:
    """Open these together, let exposure settle and be locked, and tell the rates that are reached."""
    cameras = [machine.camera_from_uri(uri, kind) for uri, kind in chosen]
    say(f"     watching {' and '.join(without_secrets(uri) for uri, _ in chosen)} for some seconds ...")
    for one in machine.reached(cameras):
        say(f"     {one.kind}: {one}")
        for problem in one.problems():
            say(f"     not enough: {problem}")
    if any(uri.startswith("v4l2:") for uri, _ in chosen):
        say("     exposure, white balance and gain are locked two seconds after every start (lock=0 leaves them)")


# ------------------------------------------------------------------------------------------------ links


def _chosen_brokers(machine: Surroundings, asker: Asker, say: Callable[[str], None]) -> list[str]:
    say("MQTT brokers on this machine")
    found = machine.brokers()
    if not found:
        say("     none; for one elsewhere add to sinks: mqtts://HOST:8883/SITE?user=NAME&password_file=FILE&ca=FILE")
    sinks: list[str] = []
    for one in found:
        free = one.refusal is None
        say(f"     {one.uri('SITE')} {'lets this device in' if free else f'does not yet: {one.refusal}'}")
        if not asker.yes("Send records there?", default=free and not sinks):
            continue
        uri = one.uri(asker.text("Site, as the topics name it", "home"))
        sinks.append(uri if free else uri + _credentials(one, asker))
    return sinks


def _credentials(broker: FoundBroker, asker: Asker) -> str:
    """The query that lets us in; the password itself is never asked for."""
    asked = {"user": asker.text("User at the broker (empty: none)", "")}
    if asked["user"]:
        asked["password_file"] = asker.text("File with its password in line 1", "/etc/mmrphys/password")
    if broker.scheme == "mqtts":
        asked["ca"] = asker.text("File that signed the broker's certificate (empty: the system's)", "")
    return _query(asked)


def _query(asked: dict[str, str]) -> str:
    pairs = urlencode({key: value for key, value in asked.items() if value}, safe="/:")
    return f"?{pairs}" if pairs else ""


def _chosen_receiver(machine: Surroundings, asker: Asker, say: Callable[[str], None]) -> list[str]:
    """An HL7 receiver that somebody names: beyond this machine nothing is looked for, and to it only TLS is offered."""
    say("HL7 receiver")
    address = asker.text("Host of an HL7 receiver, or HOST:PORT (empty: none)", "")
    if not address:
        return []
    try:
        uri = _receiver_uri(address, asker)
        receiver = receiver_from_uri(parse_uri(uri, "sink", ("hl7", "hl7s")), allow_plaintext=False)
        found = hl7.judged(receiver, machine.receiver_refusal(receiver))
    except MmrphysError as error:
        say(f"     {error}; going on without a receiver")
        return []
    say(f"     {found.seen}{f'; {found.fix}' if found.fix else ''}")
    return [uri] if asker.yes("Send rates there?", default=found.status == "ok") else []


def _receiver_uri(address: str, asker: Asker) -> str:
    host = address_from_uri(Uri("hl7", f"//{address}"), "receiver", "HOST or HOST:PORT").hostname or ""
    scheme = "hl7" if is_loopback(host) else "hl7s"
    asked = {
        "application": asker.text("Its application, as its owner calls it (empty: none)", ""),
        "facility": asker.text("Its facility (empty: none)", ""),
    }
    if scheme == "hl7s":
        asked["ca"] = asker.text("File that signed the receiver's certificate (empty: the system's)", "")
        asked["cert"] = asker.text("File with the certificate of this device (empty: none)", "")
        asked["key"] = asker.text("File with its key", "") if asked["cert"] else ""
    return f"{scheme}://{address}{_query(asked)}"


def _chosen_ports(machine: Surroundings, asker: Asker, say: Callable[[str], None]) -> list[str]:
    """Serial sinks. None is taken unasked: what is at the other end may not expect us."""
    say("Serial ports")
    found = machine.ports()
    if not found:
        say("     none")
    sinks: list[str] = []
    for path in found:
        holders, _ = machine.holders(path)
        held = f", held by {holders[0].name} (process {holders[0].pid})" if holders else ""
        uri = f"serial:{path}?baud=115200&profile=line"
        say(f"     {uri}{held}")
        if asker.yes("Send one line a second there?", default=False):
            sinks.append(uri)
    return sinks
