"""The golden pair of a bundle, its self-test: from the code that trained the weights, or from the model itself.

A checkpoint whose card names a ``golden`` file has its pair there, made by that code and compared with the model when
the checkpoint was imported. It holds what a self-test holds (``edge/selftest.py``) and is handed on as it is: the
device then compares itself with that code. For any other checkpoint the pair is a seeded clip and what the model gives.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from edge.bundle import MAX_FILE_BYTES, Channel
from edge.errors import InputError
from edge.selftest import SelfTest, selftest_from_npz
from training.checkpoint import Card, card_path
from training.model import Mmrphys

__all__ = [
    "bytes_from_file", "golden_clip", "golden_from_checkpoint", "golden_from_model", "npz_from_golden", "seeded_clip",
]  # fmt: skip


def golden_from_checkpoint(checkpoint: Path, card: Card, model: Mmrphys) -> SelfTest:
    """The pair that ``card`` names, else one of ``model``; InputError when the named one is not what the card says."""
    if not card.golden:
        return golden_from_model(model, card)
    if Path(card.golden).name != card.golden:
        raise InputError(f"{card_path(checkpoint)}: golden is {card.golden!r}, wanted the name of a file beside it")
    place = checkpoint.with_name(card.golden)
    data = bytes_from_file(place, absent="the card names it as its golden pair", large="import the checkpoint anew")
    if hashlib.sha256(data).hexdigest() != card.golden_sha256:
        raise InputError(f"{place}: its hash differs from the card's; take both files from the same import")
    try:
        return selftest_from_npz(data, card.spec.modalities, card.tasks, card.frames, card.size)
    except ValueError as error:
        raise InputError(f"{place}: not a golden pair of this model ({error}); import the checkpoint anew") from error


def golden_from_model(model: Mmrphys, card: Card) -> SelfTest:
    """:func:`golden_clip` and what ``model`` gives for it."""
    clip = golden_clip(card)
    golden = SelfTest({channel: clip[channel] for channel in card.spec.modalities}, {})
    with torch.inference_mode():
        waves = model(torch.from_numpy(golden.frames))
    return SelfTest(golden.clip, {task: wave.numpy() for task, wave in waves.items()})


def golden_clip(card: Card) -> dict[Channel, npt.NDArray[np.uint8] | npt.NDArray[np.float16]]:
    """:func:`seeded_clip` for a model of ``card``."""
    return seeded_clip(card.frames, card.fps, card.size)


def seeded_clip(frames: int, fps: float, size: int) -> dict[Channel, npt.NDArray[np.uint8] | npt.NDArray[np.float16]]:
    """A seeded clip for the self-test: ``rgb`` uint8 ``[1, 3, F, S, S]``, ``thermal`` float16 ``[1, 1, F, S, S]``.

    A pulse of 72/min and a breath of 15/min over skin-like cells with noise: the outputs are smooth waveforms, and
    every layer sees values of the size it meets in use.
    """
    rng = np.random.default_rng(20250507)
    t_s = np.arange(frames) / fps
    cells = (size, size)
    pulse = np.sin(2.0 * np.pi * 1.2 * t_s)[:, None, None] * rng.uniform(0.5, 1.5, cells)
    breath = np.sin(2.0 * np.pi * 0.25 * t_s)[:, None, None] * rng.uniform(0.0, 1.0, cells)
    skin = np.array([170.0, 125.0, 105.0])[:, None, None, None] * rng.uniform(0.7, 1.0, cells)
    rgb = skin + np.array([0.6, 1.6, 1.0])[:, None, None, None] * pulse + rng.normal(0.0, 1.0, (3, frames, *cells))
    thermal = 33.5 + rng.normal(0.0, 0.5, cells) + 0.3 * breath + rng.normal(0.0, 0.03, (frames, *cells))
    return {"rgb": np.rint(rgb).clip(0, 255).astype(np.uint8)[None], "thermal": thermal.astype(np.float16)[None, None]}


def npz_from_golden(golden: SelfTest) -> bytes:
    """As ``numpy.savez_compressed``, with a fixed date inside, so that equal content gives equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in (*golden.clip.items(), *golden.waves.items()):
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def bytes_from_file(path: Path, *, absent: str, large: str) -> bytes:
    """The bytes of a file that may stand in a bundle; InputError, ending with a remedy, when it is absent or larger."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; {absent}") from error
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{path}: more than {MAX_FILE_BYTES} bytes; {large}")
    return data
