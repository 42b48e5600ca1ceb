"""Presets: what is trained, on what, and how; TOML in, frozen structs out, every key checked.

``training/presets/NAME.toml`` is a preset; ``--set data.recordings=100`` changes one value of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from edge.errors import UsageError
from edge.uri import nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "AttentionChoice",
    "DataChoice",
    "ModelChoice",
    "Preset",
    "Recipe",
    "preset_from_toml",
    "preset_names",
    "preset_with",
]

PRESET_DIR = Path(__file__).resolve().parent / "presets"

Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0.0)]
FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
Range = Annotated[tuple[float, float], Meta(description="low, high")]


class ModelChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of ``training.model.ModelSpec``."""

    size: int
    fusion: Literal["EF", "NF", "LF"]
    channels: int
    tasks: tuple[str, ...]
    reach: Literal["short", "long"] = "short"
    geometry: str = "current"
    input_scale: tuple[float, float] = (1.0, 1.0)


class AttentionChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of ``training.attention.AttentionSpec``."""

    kind: Literal["tsfm", "fsam", "gaussian"] = "tsfm"
    layout: Literal["time", "memory"] = "time"
    minima: Literal["sample", "batch"] = "sample"
    targets: Literal["own", "all"] = "own"
    form: Literal["closed", "iterative"] = "closed"
    steps: Count = 4
    rank: Count = 1
    residual: bool = True


class DataChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Recordings of the synthetic scene on a grid of ``fps``; windows of ``frames`` are cut from them at any place.

    Rates are per minute, drawn evenly over their logarithm as is ``amplitude`` (peak to peak, a share); ``tone``,
    ``breath_degc`` and ``nuisance`` (0..1) evenly. ``coded`` is the share of recordings seen through MJPEG or H.264,
    ``pixels`` the side of the rendered face box of the others, ``seed`` that of the recordings where it is not the
    training's own. The BVP label is low-passed at ``bvp_label_harmonics`` times the recording's mean HR: a network that
    sees a second or less at a time finds a slow pulse's harmonics more easily than the pulse itself, and would be
    rewarded for them.
    """

    recordings: Count
    seconds: Positive
    validation_recordings: Count
    validation_seconds: Annotated[float, Meta(gt=30.0)]
    fps: Positive
    frames: Annotated[int, Meta(ge=5)]
    pixels: Annotated[int, Meta(ge=9)] = 36
    hr: Range = (42.0, 170.0)
    rr: Range = (6.0, 30.0)
    amplitude: Range = (0.0015, 0.015)
    breath_degc: Range = (0.1, 1.0)
    tone: Range = (1.0, 6.0)
    nuisance: Range = (0.2, 1.0)
    coded: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.65
    seed: Annotated[int, Meta(ge=0)] | None = None
    bvp_label_harmonics: Positive = 1.4


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Adam with a one-cycle learning rate, as the published models were trained.

    ``loss`` is a name in ``training.losses.LOSSES``, where the last two are only for replay of the published training.
    ``precision`` ``"half"`` computes in half precision with loss scaling and a gradient norm of at most 1, and saves
    the checkpoint in float16.
    """

    steps: Count
    batch: Count = 4
    learning_rate: Positive = 1e-3
    loss: Literal["negative_pearson", "smooth_l1", "negative_pearson_batch_axis", "negative_pearson_whole_batch"] = (
        "negative_pearson"
    )
    precision: Literal["single", "half"] = "single"


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole training. ``parts`` holds a recipe for each part of the model that trains apart: ``train.parts_of``.

    Without ``attention`` there is none.
    """

    name: FileName
    model: ModelChoice
    data: DataChoice
    parts: dict[str, Recipe]
    attention: AttentionChoice | None = None


def preset_names() -> list[str]:
    """The presets that come with the package."""
    return sorted(path.stem for path in PRESET_DIR.glob("*.toml"))


def preset_from_toml(name: str) -> Preset:
    """The preset called ``name``, or the one in the file ``name`` when it ends in ``.toml``.

    Raises
    ------
    UsageError
        No such preset, no TOML, an unknown key (with the nearest known one), a missing or wrong value.
    """
    path = Path(name) if name.endswith(".toml") else PRESET_DIR / f"{name}.toml"
    if not path.is_file():
        raise UsageError(f"there is no preset {name!r}{nearest(name, preset_names())}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no valid TOML ({error})") from error
    return _preset_from_table(table, str(path))


def preset_with(preset: Preset, settings: Iterable[str]) -> Preset:
    """``preset`` with ``section.key=value`` settings applied; values are written as in TOML, and ``none`` is absent.

    A section that is absent comes into being with its first key: ``attention.kind=tsfm``.

    Raises
    ------
    UsageError
        A setting without ``=``, an unknown key, a wrong value.
    """
    table = msgspec.to_builtins(preset)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting!r} has no '='; write --set section.key=value")
        _assign(table, key.strip().split("."), _toml_value(text.strip()), setting)
    return _preset_from_table(table, "--set")


def _assign(table: dict[str, Any], keys: list[str], value: Any, setting: str) -> None:
    for key in keys[:-1]:
        inner = table.get(key)
        if inner is None and key in table:
            inner = table[key] = {}
        if not isinstance(inner, dict):
            raise UsageError(f"--set {setting!r}: there is no section {key!r}{nearest(key, table)}")
        table = inner
    table[keys[-1]] = value


def _toml_value(text: str) -> Any:
    """A TOML value; bare words count as strings, but for ``none``."""
    if text == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _preset_from_table(table: dict[str, Any], where: str) -> Preset:
    _check_keys(table, Preset, where, "")
    try:
        return msgspec.convert(table, Preset)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {error}") from error


def _check_keys(table: dict[str, Any], struct: Any, where: str, section: str) -> None:
    """UsageError for the first key that ``struct`` and the structs inside it do not know."""
    fields = {field.name: field.type for field in msgspec.structs.fields(struct)}
    for key, value in table.items():
        if key not in fields:
            raise UsageError(f"{where}: there is no key {section + key!r}{nearest(key, fields)}")
        for name, inner, inner_struct in _inner_structs(key, value, fields[key]):
            _check_keys(inner, inner_struct, where, f"{section}{name}.")


def _inner_structs(key: str, value: Any, kind: Any) -> list[tuple[str, dict[str, Any], Any]]:
    """Tables below ``key`` that are structs themselves: the value, or each value of a mapping to structs."""
    if not isinstance(value, dict):
        return []
    if get_origin(kind) is dict:
        inner_struct = get_args(kind)[1]
        return [(f"{key}.{name}", inner, inner_struct) for name, inner in value.items() if isinstance(inner, dict)]
    return [(key, value, one) for one in (kind, *get_args(kind)) if hasattr(one, "__struct_fields__")]
