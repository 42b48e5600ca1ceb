"""A golden pair: a clip and what the code that weights were trained with makes of it, which the model must give too."""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edge.errors import InputError
from training.checkpoint import Card
from training.feeding import Feeding
from training.model import Mmrphys, ModelSpec

__all__ = ["TOLERANCE", "golden_from_file"]

TOLERANCE = 1e-4
"""Largest difference from the given outputs, as a share of their standard deviation."""
NAMES = {"bvp": ("bvp", "rPPG"), "rsp": ("rsp", "rRSP")}
"""What the waveforms may be called: by us, or as in the published graphs."""
MAX_BYTES = 256 * 1024 * 1024

_MALFORMED = (
    ValueError, KeyError, TypeError, SyntaxError, tokenize.TokenError, EOFError, RuntimeError, MemoryError, zlib.error,
    zipfile.BadZipFile,
)  # fmt: skip
"""What zipfile and numpy raise for content that is not what it should be."""

Floats = npt.NDArray[np.float32]


def golden_from_file(path: Path, card: Card, state: dict[str, Tensor], feeding: Feeding) -> tuple[bytes, float]:
    """The pair in ``path`` as a file in this package's convention, and its largest difference from the model.

    ``path`` is an ``.npz`` of ``input`` ``[1, C, F, S, S]``, as it was fed in training (``feeding``), and ``bvp`` and
    ``rsp`` ``[1, F - 1]``, those the model has. ``card`` and ``state`` are the model's, in this package's convention.

    Raises
    ------
    InputError
        Not such a file, of another length or size, or the model differs by more than :data:`TOLERANCE`.
    """
    given, waves = _golden_arrays(path, card)
    if problem := feeding.misfit(given):
        raise InputError(f"{path}: {problem}")
    clip = feeding.clip_in_our_convention(given)
    worst = _difference(card.spec, state, clip, waves)
    if not worst <= TOLERANCE:
        raise InputError(
            f"{path}: the model differs from its outputs by {worst:.1e} of their standard deviation, wanted at most "
            f"{TOLERANCE:.0e}; is it of this checkpoint and size, made in evaluation mode and single precision?"
        )
    return _npz(clip, waves, card.spec), worst


def _golden_arrays(path: Path, card: Card) -> tuple[npt.NDArray[np.float64], dict[str, Floats]]:
    """The input ``[1, C, F, S, S]`` in the user's convention, and the waveforms ``[1, F - 1]``."""
    held = _numbers_from_npz(path)
    names = {task: next((name for name in NAMES[task] if name in held), task) for task in card.tasks}
    if missing := [name for name in ("input", *names.values()) if name not in held]:
        raise InputError(f"{path}: has no array {missing[0]!r}, only {', '.join(held)}; name them input, bvp, rsp")
    if not all(np.isfinite(held[name]).all() for name in ("input", *names.values())):
        raise InputError(f"{path}: holds values that are not finite numbers")
    waves = {task: held[name].astype(np.float32).reshape(-1)[None] for task, name in names.items()}
    given = _golden_input(path, held["input"].astype(np.float64), card)
    for task, wave in waves.items():
        if wave.shape != (1, card.frames - 1) or not wave.std():
            seen = "constant" if wave.shape == (1, card.frames - 1) else list(wave.shape)
            raise InputError(f"{path}: {names[task]} is {seen}; wanted [1, {card.frames - 1}], and not constant")
    return given, waves


def _golden_input(path: Path, given: npt.NDArray[np.float64], card: Card) -> npt.NDArray[np.float64]:
    """``given`` as ``[1, C, F, S, S]`` with the channels that the model sees."""
    given = given[None] if given.ndim == 4 else given
    if given.ndim == 5 and given.shape[1] == 4 and card.channels != 4:
        given = given[:, :3] if card.channels == 3 else given[:, 3:]
    wanted = (1, card.channels, card.frames, card.size, card.size)
    if given.ndim == 5 and given.shape[2] != card.frames:
        raise InputError(
            f"{path}: a clip of {given.shape[2]} frames, the window has {card.frames}; give --frames {given.shape[2]}, "
            f"or a pair of {card.frames}"
        )
    if given.shape != wanted:
        raise InputError(
            f"{path}: input is {list(given.shape)}, wanted {list(wanted)}; make a pair of that size, or give "
            "another --size"
        )
    return given


def _numbers_from_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > MAX_BYTES:
                raise InputError(f"{path}: more than {MAX_BYTES >> 20} MiB; one clip is enough")
        with np.load(path, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except _MALFORMED as error:
        raise InputError(f"{path}: not an .npz of plain arrays; save it with numpy.savez") from error
    if unfit := [name for name, array in held.items() if array.dtype.kind not in "fiu"]:
        raise InputError(f"{path}: {unfit[0]} holds no numbers; save plain arrays")
    return held


def _difference(spec: ModelSpec, state: dict[str, Tensor], clip: Floats, waves: dict[str, Floats]) -> float:
    """Largest over tasks, as a share of the output's standard deviation."""
    model = Mmrphys(spec).eval()
    model.load_state_dict({key: value for key, value in state.items() if ".attention." not in key})
    with torch.inference_mode():
        outputs = model(torch.from_numpy(clip))
    return max(float(np.abs(outputs[task].numpy() - wave).max() / wave.std()) for task, wave in waves.items())


def _npz(clip: Floats, waves: dict[str, Floats], spec: ModelSpec) -> bytes:
    """``rgb`` and ``thermal`` as small as they go without loss, and the waveforms."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    if "rgb" in spec.modalities:
        arrays["rgb"] = _narrowed(clip[:, :3], np.uint8)
    if "thermal" in spec.modalities:
        arrays["thermal"] = _narrowed(clip[:, -1:], np.float16)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays, **waves)  # type: ignore[arg-type]
    return buffer.getvalue()


def _narrowed(values: Floats, kind: type[np.generic]) -> npt.NDArray[np.generic]:
    limits = np.iinfo(np.uint8) if kind is np.uint8 else np.finfo(np.float16)
    narrow = values.clip(float(limits.min), float(limits.max)).astype(kind)
    return narrow if np.array_equal(narrow.astype(np.float32), values) else values
