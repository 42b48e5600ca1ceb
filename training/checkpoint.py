"""Checkpoints: weights as safetensors beside a JSON card that says what they are, and published ``.pth`` files read in.

``NAME.safetensors`` holds the tensors under this package's own names; ``NAME.json`` is the :class:`Card`. Nothing here
ever unpickles code.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import re
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from edge.errors import InputError, UsageError
from training.model import Mmrphys, ModelSpec

__all__ = [
    "Card",
    "InputContract",
    "card_path",
    "load_card",
    "load_checkpoint",
    "model_from_checkpoint",
    "save_checkpoint",
    "spec_from_reference",
    "state_from_reference",
    "versions",
    "write_atomically",
]

CARD_FORMAT = 1


class InputContract(msgspec.Struct, frozen=True, kw_only=True):
    """What one number of the input means."""

    layout: str = "[B, C, F, S, S] float32"
    rgb: str = "R, G, B in 0..255"
    thermal: str = "degC, last channel"


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a checkpoint is and how it came to be.

    ``frames`` is F at ``fps`` frames per second. ``metrics`` are those of the held-out set described in ``data``.
    ``weights_sha256`` is the hash of the safetensors file.
    """

    format: int = CARD_FORMAT
    name: str
    size: int
    fusion: str
    channels: int
    tasks: tuple[str, ...]
    reach: str = "short"
    fps: float
    frames: int
    input: InputContract = InputContract()
    recipe: dict[str, Any] = {}
    seed: int | None = None
    data: str = ""
    metrics: dict[str, Any] = {}
    versions: dict[str, str] = {}
    weights_sha256: str = ""

    @property
    def spec(self) -> ModelSpec:
        """The model these weights fit; ValueError when there is none."""
        return ModelSpec(self.size, self.fusion, self.channels, self.tasks, self.reach)


def versions() -> dict[str, str]:
    """Versions of what determines the weights."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "safetensors": safetensors.__version__,
    }


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` holds either its old content or all of the new, even after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(part).chmod(0o644)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def card_path(path: Path) -> Path:
    """Where the card of checkpoint ``path`` lies."""
    return path.with_suffix(".json")


def save_checkpoint(path: Path, state: dict[str, Tensor], card: Card) -> Card:
    """Write weights and card to ``path`` (``.safetensors``) and beside it; gives the card with the hash filled in."""
    data = safetensors.torch.save({key: value.detach().cpu().contiguous() for key, value in state.items()})
    card = msgspec.structs.replace(card, weights_sha256=hashlib.sha256(data).hexdigest())
    write_atomically(path, data)
    write_atomically(card_path(path), msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n")
    return card


def load_card(path: Path) -> Card:
    """The card of checkpoint ``path``; InputError when it is absent or not one."""
    beside = card_path(path)
    try:
        card = msgspec.json.decode(beside.read_bytes(), type=Card)
    except OSError as error:
        raise InputError(f"{beside}: {error.strerror}; a checkpoint has its card beside it") from error
    except msgspec.MsgspecError as error:
        raise InputError(f"{beside}: not a checkpoint card ({error})") from error
    if card.format != CARD_FORMAT:
        raise InputError(f"{beside}: card format {card.format}, wanted {CARD_FORMAT}; use a matching version")
    return card


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], Card]:
    """Weights and card of an own checkpoint; InputError when damaged or incomplete."""
    card = load_card(path)
    try:
        data = path.read_bytes()
        state: dict[str, Tensor] = safetensors.torch.load(data)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except safetensors.SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file ({error})") from error
    if hashlib.sha256(data).hexdigest() != card.weights_sha256:
        raise InputError(f"{path}: its hash differs from the card's; take both files from the same training")
    return state, card


def model_from_checkpoint(path: Path, *, size: int | None = None) -> Mmrphys:
    """The model of an own (``.safetensors``) or published (``.pth``) checkpoint, in evaluation mode on the CPU.

    ``size`` (9, 36, 72) is needed for a published file whose name does not tell it: its tensors fit every size.

    Raises
    ------
    InputError
        Missing, damaged or foreign file.
    UsageError
        ``size`` missing, or at odds with the card or the file name.
    """
    if path.suffix == ".safetensors":
        state, card = load_checkpoint(path)
        if size not in (None, card.size):
            raise UsageError(f"{path}: its card says size {card.size}, asked for {size}; leave the size out")
        spec = card.spec
    else:
        state = state_from_reference(path)
        spec = spec_from_reference(state, path, size)
    model = Mmrphys(spec)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path}: its tensors do not fit {spec}") from error
    return model.eval()


# --------------------------------------------------------------------------------------------- published checkpoints

_REFERENCE_NAMES = (
    (re.compile(r"bvp_feature_extractor\.bvp_feature_extractor\.(\d+)"), r"bvp.features.\1"),
    (re.compile(r"rppg_head\.conv_layer\.(\d+)"), r"bvp.head.\1"),
    (re.compile(r"rppg_head\.final_layer\.(\d+)"), r"bvp.final.\1"),
    (re.compile(r"rsp_feature_extractor\.rsp_feature_extractor\.(\d+)"), r"rsp.features.\1"),
    (re.compile(r"rBr_head\.conv_block\.(\d+)"), r"rsp.head.\1"),
    (re.compile(r"rBr_head\.final_layer\.(\d+)"), r"rsp.final.\1"),
    (re.compile(r"\.conv_block_3d\.0\.weight$"), ".conv.weight"),
)
_UNUSED_AT_INFERENCE = re.compile(r"(^|\.)fsam\.|^rBP_head\.")
"""Training attention, and the blood-pressure head that was never trained."""
_OTHER_GEOMETRIES = (
    ("thermal_bvp_feature_extractor.", "late fusion"),
    ("rppg_feature_extractor.", "FactorizePhys"),
    ("bvp_feature_extractor.bvp_feature_extractor.5.", "the older padded-stem geometry"),
    ("rsp_feature_extractor.rsp_feature_extractor.3.", "the superseded respiration branch"),
    ("rBr_head.final_layer.3.", "the superseded respiration branch"),
)
_SIZE_TOKEN = re.compile(r"(?:x|Tx180x)(9|36|72)(?=[_.]|x\d)")
_LETTER_TOKEN = re.compile(r"MMRPhys([LMS])")


def state_from_reference(path: Path) -> dict[str, Tensor]:
    """Tensors of a published checkpoint as float32 under this package's names, what inference does not use left out.

    Raises
    ------
    InputError
        Not a plain state dict, or a geometry this version does not have (named).
    """
    tensors = _tensors_from_pth(path)
    for prefix, name in _OTHER_GEOMETRIES:
        if any(key.startswith(prefix) for key in tensors):
            raise InputError(f"{path}: {name} is not built in this version; use an early- or no-fusion checkpoint")
    state = {}
    for key, value in tensors.items():
        if _UNUSED_AT_INFERENCE.search(key):
            continue
        for pattern, ours in _REFERENCE_NAMES:
            key = pattern.sub(ours, key)  # noqa: PLW2901  (each pattern rewrites one part of the name)
        state[key] = value.float()
    return state


def spec_from_reference(state: dict[str, Tensor], path: Path, size: int | None = None) -> ModelSpec:
    """What tensors (under this package's names) and the file name tell about a published checkpoint.

    Raises
    ------
    InputError
        Neither branch is there.
    UsageError
        The size is neither given nor in the file name, or both are and differ.
    """
    first = {task: state.get(f"{task}.features.0.conv.weight") for task in ("bvp", "rsp")}
    inputs = {task: weight.shape[1] for task, weight in first.items() if weight is not None}
    if not inputs:
        raise InputError(f"{path}: no MMRPhys branch among its tensors; is it a checkpoint of this model?")
    fused = len(set(inputs.values())) == 1
    channels = next(iter(inputs.values())) if fused else 4
    named = _size_from_name(path.name)
    if size is not None and named is not None and size != named:
        raise UsageError(f"{path}: the name says size {named}, asked for {size}; rename it or leave the size out")
    chosen = size or named
    if chosen is None:
        raise UsageError(f"{path}: the size is not in its name and cannot be told from tensors; give 9, 36 or 72")
    return ModelSpec(chosen, "EF" if fused else "NF", channels, tuple(inputs))


def _size_from_name(name: str) -> int | None:
    if token := _SIZE_TOKEN.search(name):
        return int(token[1])
    letter = _LETTER_TOKEN.search(name)
    return {"L": 72, "M": 36, "S": 9}[letter[1]] if letter else None


def _tensors_from_pth(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: not a plain torch state dict; code in checkpoints is never run") from error
    if isinstance(content, dict) and "model_state_dict" in content:
        content = content["model_state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: holds something else than named tensors")
    return {str(key).removeprefix("module."): value for key, value in content.items()}
