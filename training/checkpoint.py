"""Checkpoints: weights as safetensors beside a JSON card that says what they are, and published ``.pth`` files read in.

``NAME.safetensors`` holds the tensors under this package's own names; ``NAME.json`` is the :class:`Card`. Nothing here
ever unpickles code.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
import warnings
from pathlib import Path
from typing import Any, Literal

import msgspec
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from edge.errors import InputError, UsageError
from training.attention import AttentionSpec
from training.model import Mmrphys, ModelSpec
from training.reference import published_from_pth

__all__ = [
    "Card",
    "InputContract",
    "card_path",
    "folder_for_writing",
    "load_card",
    "load_checkpoint",
    "model_from_checkpoint",
    "save_checkpoint",
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
    ``weights_sha256`` is the hash of the safetensors file, ``precision`` what it is stored in. ``source`` tells where
    imported weights come from. ``golden`` is the name of a file beside the card, with its hash: input and output of the
    code that the weights were trained with.
    """

    format: int = CARD_FORMAT
    name: str
    size: int
    fusion: str
    channels: int
    tasks: tuple[str, ...]
    reach: str = "short"
    geometry: str = "current"
    input_scale: tuple[float, float] = (1.0, 1.0)
    fps: float
    frames: int
    input: InputContract = InputContract()
    recipe: dict[str, Any] = {}
    seed: int | None = None
    data: str = ""
    metrics: dict[str, Any] = {}
    versions: dict[str, str] = {}
    precision: Literal["single", "half"] = "single"
    source: dict[str, Any] = {}
    golden: str = ""
    golden_sha256: str = ""
    weights_sha256: str = ""

    @property
    def spec(self) -> ModelSpec:
        """The model these weights fit; ValueError when there is none."""
        return ModelSpec(
            self.size, self.fusion, self.channels, self.tasks, self.reach, self.geometry, self.input_scale
        )  # fmt: skip


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


def folder_for_writing(out: Path) -> None:
    """Make the folder ``out``, before long work; UsageError where it cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".writable").touch()
        (out / ".writable").unlink()
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}; name a folder you may write to") from error


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
    if path.suffix == ".pth":
        raise InputError(f"{path}: a file of another kind than this package's; make it one with mmrphys import")
    try:
        card = msgspec.json.decode(beside.read_bytes(), type=Card)
    except OSError as error:
        raise InputError(f"{beside}: {error.strerror}; a checkpoint has its card beside it") from error
    except msgspec.MsgspecError as error:
        raise InputError(f"{beside}: not a checkpoint card ({error})") from error
    if card.format != CARD_FORMAT:
        raise InputError(f"{beside}: card format {card.format}, wanted {CARD_FORMAT}; use a matching version")
    try:
        card.spec  # noqa: B018 - a card of no model there is must not be read
    except ValueError as error:
        raise InputError(f"{beside}: not a model of this version ({error})") from error
    return card


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], Card]:
    """Weights (as float32) and card of an own checkpoint; InputError when damaged or incomplete."""
    card = load_card(path)
    try:
        data = path.read_bytes()
        state = safetensors.torch.load(data)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except safetensors.SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file ({error})") from error
    if hashlib.sha256(data).hexdigest() != card.weights_sha256:
        raise InputError(f"{path}: its hash differs from the card's; take both files from the same training")
    return {key: value.float() for key, value in state.items()}, card


def model_from_checkpoint(
    path: Path | str, *, size: int | None = None, attention: AttentionSpec | None = None
) -> Mmrphys:
    """The model of an own (``.safetensors``) or published (``.pth``) checkpoint, in evaluation mode on the CPU.

    Called with float32 ``[B, C, F, S, S]`` (RGB 0..255 first, thermal in degC last) it gives ``{"bvp": [B, F - 1],
    "rsp": [B, F - 1]}``, only the tasks it has. ``size`` (9, 36, 72) is needed for a published file whose name does not
    tell it: its tensors fit every size. With ``attention`` the model gets its trained attention too, which acts when it
    is put into training mode. What a published file does not tell is a ``UserWarning``.

    Raises
    ------
    InputError
        Missing, damaged, foreign or superseded file, or one without the ``attention`` that was asked for.
    UsageError
        ``size`` missing, or at odds with the card or the file name.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        state, card = load_checkpoint(path)
        if size not in (None, card.size):
            raise UsageError(f"{path}: its card says size {card.size}, asked for {size}; leave the size out")
        spec = card.spec
    else:
        published = published_from_pth(path, size)
        state, spec = published.state, published.spec
        for doubt in published.doubts:
            warnings.warn(f"{path.name}: {doubt}", stacklevel=2)
    return _model(path, state, spec, attention).eval()


def _model(path: Path, state: dict[str, Tensor], spec: ModelSpec, attention: AttentionSpec | None) -> Mmrphys:
    attended = {key.split(".")[0] for key in state if ".attention." in key}
    if attention is not None and attended != set(spec.tasks):
        raise InputError(f"{path}: trained without attention in {set(spec.tasks) - attended}; load it without")
    if attention is None:
        state = {key: value for key, value in state.items() if ".attention." not in key}
    model = Mmrphys(spec, attention)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path}: its tensors do not fit {spec}") from error
    return model
