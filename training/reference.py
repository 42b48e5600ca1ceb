"""Published checkpoints (``.pth``): which model they are, and their tensors under this package's names.

The files are plain state dicts; nothing in them is ever run. The family is told from the names of the tensors, channels
and tasks from the first convolutions. The size cannot be told from tensors, which have the same shapes at 72, 36 and 9
pixels; it stands in the file's name, or must be given.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from edge.errors import InputError, UsageError
from training.attention import AttentionSpec
from training.model import GEOMETRIES, Mmrphys, ModelSpec

__all__ = ["NameTokens", "Published", "published_from_pth", "tokens_from_name"]

MAX_BYTES = 64 * 1024 * 1024
"""A checkpoint of these models has less than 1 MB."""
MAX_TENSORS = 4096
SINGLE_TASK_SIZE, SINGLE_TASK_FRAMES = 72, 161
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True, slots=True)
class Published:
    """A published checkpoint.

    ``state`` holds float32 tensors under this package's names, those of attention (``.attention.``) among them if it
    was trained with it. ``dropped`` says what of the file is left out, ``doubts`` what it does not tell; one line each.
    """

    family: str
    spec: ModelSpec
    state: dict[str, Tensor]
    is_half: bool
    dropped: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def published_from_pth(path: Path, size: int | None = None) -> Published:
    """Read a published checkpoint; ``size`` (9, 36, 72) is needed where its name does not tell it.

    Raises
    ------
    InputError
        Missing, damaged, foreign, superseded or ambiguous file; the message names the reason.
    UsageError
        ``size`` missing, or at odds with the file.
    """
    tensors = _tensors_from_pth(path)
    family = _family(path, tensors)
    dropped = []
    if pressure := [key for key in tensors if key.startswith("rBP_head.")]:
        count = sum(tensors.pop(key).numel() for key in pressure)
        dropped.append(f"rBP_head: {count} values of a blood-pressure head that was never trained")
    if betas := [key for key in tensors if re.search(r"(^|\.)bias1$", key) and tensors[key].numel() == 1]:
        for key in betas:
            del tensors[key]
        dropped.append(f"{', '.join(betas)}: the offset of attention, 1 here, which acts in training only")
    half = all(value.dtype in (torch.float16, torch.bfloat16) for value in tensors.values())
    state = {_renamed(key, family): value.float().contiguous() for key, value in tensors.items()}
    spec = _spec(path, state, family, size)
    _check_fit(path, state, spec, family)
    return Published(family.name, spec, state, half, tuple(dropped), family.doubts)


# ----------------------------------------------------------------------------------------------------------- the names


@dataclass(frozen=True, slots=True)
class _Family:
    """A kind of checkpoint: what its tensors are called, and what those names say about the model.

    It is known by a tensor whose name starts with ``sign``; ``names`` turn published names into this package's.
    """

    name: str
    sign: str
    geometry: str
    fusion: str | None
    names: tuple[tuple[str, str], ...]
    doubts: tuple[str, ...] = ()


_BRANCHES = (
    (r"^bvp_feature_extractor\.\w+\.", "bvp.features."),
    (r"^rsp_feature_extractor\.\w+\.", "rsp.features."),
    (r"^rppg_head\.conv_layer\.", "bvp.head."),
    (r"^rBr_head\.conv_block\.", "rsp.head."),
)
_LATE = (
    (r"^(rgb|thermal)_(bvp|rsp)_feature_extractor\.\w+\.", r"\2.\1.features."),
    (r"^rppg_head\.conv_layer_(rgb|thermal)\.", r"bvp.\1.head."),
    (r"^rBr_head\.conv_block_(rgb|thermal)\.", r"rsp.\1.head."),
)
_FACTORIZEPHYS = (
    (r"^rppg_feature_extractor\.FeatureExtractor\.", "bvp.features."),
    (r"^rppg_head\.conv_block\.", "bvp.head."),
)
_FACTORIZEPHYS_OLDER = (
    *((rf"^rppg_feature_extractor\.FeatureExtractor\.{n}\.", f"bvp.head.{n - 5}.") for n in (5, 6)),
    *((rf"^rppg_head\.conv_block\.{n}\.", f"bvp.head.{n + 3}.") for n in (0, 1, 2)),
    _FACTORIZEPHYS[0],
)
_COMMON = (
    (r"^rppg_head\.final_layer\.", "bvp.final."),
    (r"^rBr_head\.final_layer\.", "rsp.final."),
    (r"^(?:rppg_head\.)?fsam\.", "bvp.attention."),
    (r"^rBr_head\.fsam\.", "rsp.attention."),
    (r"\.conv_block_3d\.0\.weight$", ".conv.weight"),
    (r"\.pre_conv_block\.0\.", ".pre."),
    (r"\.post_conv_block\.0\.conv\.", ".post.0."),
    (r"\.post_conv_block\.1\.", ".post.2."),
)
_DILATED_ONCE = (
    "its names are those of the older FactorizePhys layout, in whose time the block from 12 to 16 channels was for a "
    "while dilated by 2 in time; the file does not record it, so outputs are unverified"
)
_FAMILIES = (
    _Family("MMRPhys, late fusion", "thermal_bvp_feature_extractor.", "current", "LF", _LATE),
    _Family("MMRPhys, late fusion", "thermal_rsp_feature_extractor.", "current", "LF", _LATE),
    _Family(
        "FactorizePhys, older layout", "rppg_feature_extractor.FeatureExtractor.5.", "factorizephys", "EF",
        _FACTORIZEPHYS_OLDER, (_DILATED_ONCE,),
    ),
    _Family("FactorizePhys", "rppg_feature_extractor.", "factorizephys", "EF", _FACTORIZEPHYS),
    _Family(
        "MMRPhys, padded stem", "bvp_feature_extractor.bvp_feature_extractor.5.", "padded_stem", "EF", _BRANCHES
    ),
    _Family("MMRPhys", "bvp_feature_extractor.", "current", None, _BRANCHES),
    _Family("MMRPhys", "rsp_feature_extractor.", "current", None, _BRANCHES),
)  # fmt: skip
"""The first whose sign is there is it."""
_SUPERSEDED = ("rsp_feature_extractor.rsp_feature_extractor.3.", "rBr_head.final_layer.3.")
_STEMS = ("thermal_bvp_feature_extractor.", "rppg_feature_extractor.", "bvp_feature_extractor.")
"""At most one of them is in a file."""


def _family(path: Path, tensors: dict[str, Tensor]) -> _Family:
    def has(sign: str) -> bool:
        return any(key.startswith(sign) for key in tensors)

    if any(map(has, _SUPERSEDED)):
        raise InputError(
            f"{path}: its respiration branch is the superseded one, with two upsamplings by 2, which is not built; "
            "use a later checkpoint"
        )
    if len(stems := [stem for stem in _STEMS if has(stem)]) > 1:
        raise InputError(f"{path}: ambiguous: it has tensors of {stems[0]} and of {stems[1]}; use a file of one model")
    found = next((family for family in _FAMILIES if has(family.sign)), None)
    if found is None:
        if has("rBP_head."):
            raise InputError(f"{path}: a blood-pressure model, which is out of scope; use one of BVP or RSP")
        raise InputError(f"{path}: no MMRPhys branch among its tensors; is it a checkpoint of this model?")
    return found


def _renamed(key: str, family: _Family) -> str:
    for pattern, ours in (*family.names, *_COMMON):
        key = re.sub(pattern, ours, key)
    return key


# ------------------------------------------------------------------------------------------------------------- the spec


def _spec(path: Path, state: dict[str, Tensor], family: _Family, size: int | None) -> ModelSpec:
    tasks = tuple(task for task in ("bvp", "rsp") if any(key.startswith(f"{task}.") for key in state))
    fusion, channels = family.fusion, 4
    if fusion != "LF":
        seen = tuple(_inputs(path, state, task) for task in tasks)
        if len(set(seen)) == 1 and seen[0] in (1, 3, 4):
            fusion, channels = "EF", seen[0]
        elif seen == (3, 1):
            fusion = "NF"
        else:
            raise InputError(
                f"{path}: its branches see {' and '.join(map(str, seen))} channels, which no MMRPhys model does; want "
                "1, 3 or 4 in both, or 3 and 1"
            )
    return ModelSpec(_size(path, family, tasks, size), fusion or "EF", channels, tasks, geometry=family.geometry)


def _inputs(path: Path, state: dict[str, Tensor], task: str) -> int:
    first = state.get(f"{task}.features.0.conv.weight")
    if first is None or first.ndim != 5:
        raise InputError(f"{path}: not whole: its {task.upper()} branch has no first convolution")
    return first.shape[1]


def _size(path: Path, family: _Family, tasks: tuple[str, ...], size: int | None) -> int:
    built = {side for _, side in GEOMETRIES[family.geometry]}
    try:
        tokens = tokens_from_name(path.name)
    except ValueError as error:
        raise InputError(f"{path}: ambiguous: {error}") from error
    if size is not None and size not in built:
        raise UsageError(f"{path}: {family.name} has size {' or '.join(map(str, sorted(built)))}; asked for {size}")
    if size is not None and tokens.size not in (None, size):
        raise UsageError(f"{path}: the name says size {tokens.size}, asked for {size}; rename it or leave the size out")
    named = next(iter(built)) if len(built) == 1 else tokens.size
    if named is None and tokens.single and tasks == ("bvp",):
        named = SINGLE_TASK_SIZE
    chosen = size or named
    if chosen is None:
        raise UsageError(f"{path}: the size is not in its name and cannot be told from tensors; give 9, 36 or 72")
    return chosen


def _check_fit(path: Path, state: dict[str, Tensor], spec: ModelSpec, family: _Family) -> None:
    """InputError, naming the first tensor that is missing, unknown or of another shape."""
    attention = AttentionSpec() if any(".attention." in key for key in state) else None
    wanted = {key: tuple(value.shape) for key, value in Mmrphys(spec, attention).state_dict().items()}
    seen = {key: tuple(value.shape) for key, value in state.items()}
    attended = {key.split(".")[0] for key in seen if ".attention." in key}
    wanted = {key: shape for key, shape in wanted.items() if ".attention." not in key or key.split(".")[0] in attended}
    problem = next(
        (
            f"{key}: seen {seen.get(key, 'nothing')}, wanted {wanted.get(key, 'nothing')}"
            for key in sorted({**wanted, **seen})
            if seen.get(key) != wanted.get(key)
        ),
        None,
    )
    if problem:
        raise InputError(f"{path}: looks like {family.name}, but its tensors do not fit ({problem})")
    if unfit := [key for key, value in state.items() if not value.isfinite().all()]:
        raise InputError(f"{path}: {unfit[0]} holds values that are not finite numbers; its training went wrong")


# ----------------------------------------------------------------------------------------------------------- file names


@dataclass(frozen=True, slots=True)
class NameTokens:
    """What the name of a published checkpoint tells; None where it does not. ``frames`` is F.

    ``single``: named as the authors named files of BVP alone, which all have 72 pixels and clips of 160 samples.
    """

    size: int | None = None
    frames: int | None = None
    fps: float | None = None
    tasks: tuple[str, ...] | None = None
    single: bool = False


_CLIP = re.compile(r"(?<![A-Za-z0-9])(?:RGBT?|T)x(\d{2,4})x(9|36|72)(?![A-Za-z0-9])")
_SIDES = re.compile(r"(?<![A-Za-z0-9])(9|36|72)x(9|36|72)(?![A-Za-z0-9])")
_LETTER = re.compile(r"MMRPhys([LMS])(?:EF|NF|LF)(?![A-Za-z0-9])")
_SINGLE_TASK = re.compile(r"_(?:MMRPhys|FactorizePhys)_")
_TASKS = re.compile(r"MMRPhys[LMS](?:EF|NF|LF)_((?:BVP|RSP|BP)(?:_(?:BVP|RSP|BP))*)(?=[_.])")
_FPS = {"UBFC-rPPG": 30.0, "PURE": 30.0, "iBVP": 30.0, "SCAMPS": 30.0, "BP4D": 25.0}
"""Of the data set that a name starts with."""


def tokens_from_name(name: str) -> NameTokens:
    """Read the name of a file as the authors made them: ``BP4D_MMRPhysLNF_BVP_RSP_RGBTx180x72_..._Epoch4.pth``.

    ValueError when it names several sizes.
    """
    clip, sides, letter, tasks = (pattern.search(name) for pattern in (_CLIP, _SIDES, _LETTER, _TASKS))
    sizes = {int(side) for side in ((clip[2],) if clip else ()) + (sides.groups() if sides else ())}
    sizes |= {{"L": 72, "M": 36, "S": 9}[letter[1]]} if letter else set()
    if len(sizes) > 1:
        raise ValueError(f"its name tells several sizes, {' and '.join(map(str, sorted(sizes)))}; rename it")
    return NameTokens(
        next(iter(sizes), None),
        int(clip[1]) + 1 if clip else None,
        next((fps for data, fps in _FPS.items() if name.startswith(f"{data}_")), None),
        tuple(task for task in ("bvp", "rsp") if task.upper() in tasks[1].split("_")) if tasks else None,
        bool(_SINGLE_TASK.search(name)),
    )


# ------------------------------------------------------------------------------------------------------------- the file


def _tensors_from_pth(path: Path) -> dict[str, Tensor]:
    """Floating-point tensors by name, what training wraps names in taken off."""
    content = _content_from_pth(path)
    for wrapper in ("model_state_dict", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content or len(content) > MAX_TENSORS:
        raise InputError(f"{path}: holds something else than named tensors")
    for value in content.values():
        if not (isinstance(value, Tensor) and value.dtype in FLOATS and value.layout == torch.strided and value.is_cpu):
            raise InputError(f"{path}: holds something else than named floating-point tensors")
    named = {re.sub(r"^((module|_orig_mod)\.)+", "", str(key)): value for key, value in content.items()}
    if len(named) < len(content):
        raise InputError(f"{path}: ambiguous: it names a tensor twice, with and without 'module.'; save one model")
    return named


def _content_from_pth(path: Path) -> object:
    if path.suffix == ".safetensors":
        raise InputError(f"{path}: already a checkpoint of this package; give it to mmrphys export")
    if not path.is_file():
        raise InputError(f"{path}: no such file; name a .pth file of weights")
    try:
        if (bytes_seen := path.stat().st_size) > MAX_BYTES:
            raise InputError(f"{path}: {bytes_seen / 2**20:.0f} MiB; a checkpoint of this model has less than 1 MiB")
        _check_sums(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on old pickle protocols, in two lines
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (
        RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError, OverflowError,
        struct.error, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path}: not a plain torch state dict, or damaged; code in checkpoints is never run"
        ) from error


def _check_sums(path: Path) -> None:
    """RuntimeError where a record of the archive is not what was written: torch reads past its checksums."""
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"{path}: no archive of torch.save, or of a time when it had no checksums; save it again with torch 1.6 or "
            "later"
        )
    with zipfile.ZipFile(path) as archive:
        if sum(record.file_size for record in archive.infolist()) > MAX_BYTES:
            raise RuntimeError("unpacks to more than a checkpoint has")
        if bad := archive.testzip():
            raise RuntimeError(f"{bad} is damaged")
