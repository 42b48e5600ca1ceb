"""One file, ``kit.toml``: what ``mmrphys run`` does. Its keys are the long option names in snake case.

It is parsed and checked once, here, into a frozen :class:`Kit`; ``edge/app.py`` hands each part only its own values.
Options given on the command line win over the file (:func:`merge`), rules between keys are in :func:`check`.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edge.errors import UsageError
from edge.uri import nearest, parse_uri, without_secrets
from edge.vitals import Mode
from edge.zones import TopicName, Zone, zone_from_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "Kit",
    "Precision",
    "RuntimeName",
    "Speed",
    "ThermalRoi",
    "check",
    "kit_from_text",
    "kit_from_toml",
    "merge",
    "toml_from_kit",
    "toml_value",
    "with_zones",
]

Speed = Literal["realtime", "max"]
RuntimeName = Literal["auto", "onnxrt", "tensorrt"]
Precision = Literal["auto", "fp32", "fp16", "int8", "force-fp16", "force-int8"]
"""``force-`` takes a graph that its export refused."""

ThermalRoi = Literal["rgb", "own"]


def device_from_host_name(host: str) -> str:
    """The first label of a host name, all but letters, digits, - and _ made ``-``; ``device`` when nothing is left."""
    label = re.sub(r"[^A-Za-z0-9_-]+", "-", host.partition(".")[0])[:32].strip("-")
    return label or "device"


class Kit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one run does.

    ``thermal`` None means whatever ``rgb`` brings along (a synthetic scene has its own), ``"none"`` no thermal camera.
    ``hop_s`` is the time between two inferences, ``seconds`` of stream time end the run (None: the end of the input),
    ``bundle`` None is the default bundle, ``"current"`` and ``"previous"`` what is installed in the folder ``store``,
    with signatures of the keys in the folder ``keys`` (None: where :mod:`edge.bundle_store` and
    :mod:`edge.bundle_keys` say). ``pair_gate_ms`` is the largest stamp difference of an RGB-thermal pair.
    ``zone`` is the whole picture, unless ``zones`` name parts of it. ``people`` are followed at most; None: one, or as
    many as there are zones. ``thermal_roi`` ``own`` looks for the warm face in the thermal picture itself.
    """

    rgb: str | None = None
    thermal: str | None = None
    rig: str | None = None
    bundle: str | None = None
    keys: str | None = None
    store: str | None = None
    sinks: tuple[str, ...] = ("console:",)
    mode: Mode = "exact"
    hop_s: Annotated[float, Meta(ge=0.1, le=6.0)] = 1.0
    speed: Speed = "realtime"
    runtime: RuntimeName = "auto"
    precision: Precision = "auto"
    seconds: Annotated[float, Meta(gt=0.0, le=1e9)] | None = None
    device_id: TopicName = msgspec.field(default_factory=lambda: device_from_host_name(socket.gethostname()))
    zone: TopicName = "main"
    zones: tuple[Zone, ...] = ()
    people: Annotated[int, Meta(ge=1, le=16)] | None = None
    detector: str = "haar"
    thermal_roi: ThermalRoi = "rgb"
    allow_plaintext: bool = False
    pair_gate_ms: Annotated[float, Meta(gt=0.0, le=1000.0)] = 80.0

    @property
    def watched(self) -> tuple[Zone, ...]:
        """The zones, or the one that is the whole picture."""
        return self.zones or (Zone(self.zone),)

    @property
    def most_people(self) -> int:
        """How many people are followed at most."""
        return self.people or len(self.watched)


def kit_from_toml(path: Path) -> Kit:
    """The kit a file describes; keys it leaves out have their defaults.

    Raises
    ------
    UsageError
        An unreadable file, no TOML, an unknown key (with the nearest known one), a wrong value; with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"{path} cannot be read: {why}; give a TOML file, or leave out --config") from error
    return kit_from_text(text, str(path))


def kit_from_text(text: str, name: str) -> Kit:
    """The kit that the text of a ``kit.toml`` describes; UsageError as :func:`kit_from_toml`, with ``name`` for it."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is no TOML: {error}") from error
    return _kit_from_table(table, lambda key: f"{name}:{_line_of(key, text)}: {key}")


def merge(kit: Kit, options: Mapping[str, Any]) -> Kit:
    """``kit`` with the options that were given: those that are neither None nor empty.

    Raises
    ------
    UsageError
        A wrong value, named by its option.
    """
    given = {key: value for key, value in options.items() if value not in (None, [], ())}
    return _kit_from_table(msgspec.structs.asdict(kit) | given, option_from_key)


def with_zones(kit: Kit, texts: Sequence[str]) -> Kit:
    """``kit`` with the zones of ``--zone`` options, where there are any: NAME, or any number of NAME=BOX.

    Raises
    ------
    UsageError
        Another form, or a value that makes no zone.
    """
    if len(texts) == 1 and "=" not in texts[0]:
        return msgspec.structs.replace(merge(kit, {"zone": texts[0]}), zones=())
    zones = tuple(zone_from_text(text) for text in texts)
    return msgspec.structs.replace(kit, zones=zones) if zones else kit


def check(kit: Kit) -> None:
    """Hold the rules between keys.

    Raises
    ------
    UsageError
        No RGB camera, or cameras that contradict each other.
    """
    if kit.rgb is None:
        alone = "--thermal is given without --rgb" if kit.thermal not in (None, "none") else "--rgb is missing"
        raise UsageError(f"{alone}; name an RGB camera, for example --rgb synthetic: or --rgb v4l2:/dev/video0")
    _check_one_scene(kit.rgb, kit.thermal)
    _check_zones(kit)


def toml_from_kit(kit: Kit) -> str:
    """The ``kit.toml`` that gives ``kit`` again; keys that are None are left out, passwords in URIs are ``***``."""
    safe = {key: _without_secrets(value) for key, value in msgspec.structs.asdict(kit).items() if value is not None}
    return "".join(f"{key} = {toml_value(value)}\n" for key, value in safe.items())


def toml_value(value: Any) -> str:
    """A string, number, truth value, zone, or tuple of these as TOML."""
    if isinstance(value, Zone):
        return f"{{ name = {toml_value(value.name)}, box = {toml_value(value.box)} }}"
    if isinstance(value, str):  # a JSON string is a TOML basic string, but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value)


def option_from_key(key: str) -> str:
    """The command-line option that sets a key: ``hop_s`` is ``--hop``, ``sinks`` a repeated ``--sink``."""
    return {"hop_s": "--hop", "sinks": "--sink", "zones": "--zone"}.get(key, f"--{key.replace('_', '-')}")


def _kit_from_table(table: Mapping[str, Any], place: Callable[[str], str]) -> Kit:
    for key in table:
        if key not in Kit.__struct_fields__:
            raise UsageError(f"{place(key)} is no known key{nearest(key, Kit.__struct_fields__)}")
    try:
        return msgspec.convert(table, Kit)
    except msgspec.ValidationError as error:
        seen, _, path = str(error).partition(" - at ")
        key = path.strip("`$.").partition("[")[0]
        value = table[key]
        raise UsageError(f"{place(key)} = {value!r}{_objection(key, value) or f': {seen}'}") from error


def _objection(key: str, value: object) -> str:
    """What is wrong with a value, where that can be said better than msgspec does; else nothing."""
    kit = msgspec.inspect.type_info(Kit)
    assert isinstance(kit, msgspec.inspect.StructType)
    kind = next(field.type for field in kit.fields if field.name == key)
    if isinstance(kind, msgspec.inspect.LiteralType):
        return f" is not known{nearest(str(value), map(str, kind.values))}"
    if isinstance(kind, msgspec.inspect.Metadata):
        return f": want {(kind.extra_json_schema or {})['description']}"
    return ""


def _line_of(key: str, text: str) -> int:
    """The line that sets ``key`` at the top level or opens a table of that name."""
    pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def _check_one_scene(rgb: str, thermal: str | None) -> None:
    scenes = [text for text in (rgb, thermal) if text is not None and text.startswith("synthetic:")]
    queries = [dict(parse_uri(text, "camera", ["synthetic"]).query) for text in scenes]
    if len(queries) == 2 and queries[0] != queries[1]:
        seen = f"--rgb {rgb} and --thermal {thermal} are different scenes"
        raise UsageError(f"{seen}; leave out --thermal, the RGB scene brings its own")


def _check_zones(kit: Kit) -> None:
    names = [zone.name for zone in kit.zones]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"zone {twice} is given twice; records go by zone, so give each a name of its own")
    for i, zone in enumerate(kit.zones):
        over = next((other.name for other in kit.zones[:i] if other.covers(zone)), None)
        if over is not None:
            raise UsageError(f"zone {zone.name} lies within zone {over}, which comes first; nobody would be in it")
    if kit.thermal_roi == "own" and kit.most_people > 1:
        seen = f"--thermal-roi own with --people {kit.most_people}"
        raise UsageError(f"{seen}: it follows one warm face; leave it out, or give --people 1 and one zone")


def _without_secrets(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_without_secrets, value))
    return without_secrets(value) if isinstance(value, str) else value
