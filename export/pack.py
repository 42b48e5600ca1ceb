"""A checkpoint into a bundle folder: graphs, self-test, licence, manifest. ``edge/bundle.py`` says what they mean."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from edge.bundle import (
    FORMAT,
    MANIFEST,
    MANIFEST_HASH,
    SELFTEST,
    Bundle,
    Channel,
    FileEntry,
    GraphEntry,
    Manifest,
    RuntimeForm,
    load_bundle,
    manifest_hash_line,
)
from edge.errors import InputError, UsageError
from export.compare import Difference, compare_forms
from export.graphs import Form, onnx_from_model
from training.checkpoint import Card, load_card, model_from_checkpoint
from training.model import Mmrphys, ModelSpec

__all__ = ["Packed", "bundle_from_checkpoint", "golden_clip"]

TENSORRT_RANGE = ">=10.3,<12"
"""JetPack 6 brings 10.3; later than 11 is unknown."""
SELFTEST_TOLERANCE = 1e-3
"""For fp32: ten times what torch and ONNX may differ by, so that other CPUs' and GPUs' rounding passes."""
GRAPHS: tuple[tuple[str, Form, RuntimeForm], ...] = (
    ("window.fp32.onnx", "plain", "tensorrt"),
    ("window.cpu-fp32.onnx", "fast", "onnxrt"),
)

Array = npt.NDArray[np.float32]


class Packed(msgspec.Struct, frozen=True):
    """A finished bundle and how its graphs compare with the model they were made from."""

    bundle: Bundle
    differences: list[Difference]


def bundle_from_checkpoint(checkpoint: Path, out: Path) -> Packed:
    """Export ``checkpoint`` (own ``.safetensors`` with card) to the bundle folder ``out``, replacing an older one.

    The folder appears whole or not at all, after it was read back and verified.

    Raises
    ------
    InputError
        The checkpoint cannot be used, or a graph differs from the model by more than allowed.
    UsageError
        ``out`` is something else than a bundle.
    """
    _check_replaceable(out)
    card = load_card(checkpoint)
    model = model_from_checkpoint(checkpoint)
    clip = golden_clip(card)
    graphs = {name: onnx_from_model(model, card.frames, form).SerializeToString() for name, form, _ in GRAPHS}
    differences = compare_forms(model, {form: graphs[name] for name, form, _ in GRAPHS}, _frames_of(clip, card.spec))
    files = graphs | {SELFTEST: _selftest(model, clip, card.spec), "LICENSE": _license()}
    files[MANIFEST] = _manifest(card, files)
    files[MANIFEST_HASH] = manifest_hash_line(files[MANIFEST])
    return Packed(_write_folder(files, out), differences)


# ---------------------------------------------------------------------------------------------------------- self-test


def golden_clip(card: Card) -> dict[Channel, npt.NDArray[np.uint8] | npt.NDArray[np.float16]]:
    """A seeded clip for the self-test: ``rgb`` uint8 ``[1, 3, F, S, S]``, ``thermal`` float16 ``[1, 1, F, S, S]``.

    A pulse of 72/min and a breath of 15/min over skin-like cells with noise: the outputs are smooth waveforms, and
    every layer sees values of the size it meets in use.
    """
    rng = np.random.default_rng(20250507)
    t_s = np.arange(card.frames) / card.fps
    cells = (card.size, card.size)
    pulse = np.sin(2.0 * np.pi * 1.2 * t_s)[:, None, None] * rng.uniform(0.5, 1.5, cells)
    breath = np.sin(2.0 * np.pi * 0.25 * t_s)[:, None, None] * rng.uniform(0.0, 1.0, cells)
    skin = np.array([170.0, 125.0, 105.0])[:, None, None, None] * rng.uniform(0.7, 1.0, cells)
    rgb = skin + np.array([0.6, 1.6, 1.0])[:, None, None, None] * pulse + rng.normal(0.0, 1.0, (3, card.frames, *cells))
    thermal = 33.5 + rng.normal(0.0, 0.5, cells) + 0.3 * breath + rng.normal(0.0, 0.03, (card.frames, *cells))
    return {"rgb": np.rint(rgb).clip(0, 255).astype(np.uint8)[None], "thermal": thermal.astype(np.float16)[None, None]}


def _frames_of(clip: dict[Channel, npt.NDArray[np.uint8] | npt.NDArray[np.float16]], spec: ModelSpec) -> Array:
    return np.concatenate([clip[channel].astype(np.float32) for channel in spec.modalities], axis=1)


def _selftest(
    model: Mmrphys, clip: dict[Channel, npt.NDArray[np.uint8] | npt.NDArray[np.float16]], spec: ModelSpec
) -> bytes:
    """``selftest.npz``: the clip, and the model's own waveforms for it."""
    with torch.inference_mode():
        waves = model(torch.from_numpy(_frames_of(clip, spec)))
    arrays = {channel: clip[channel] for channel in spec.modalities} | {task: w.numpy() for task, w in waves.items()}
    return _npz(arrays)


def _npz(arrays: dict[str, npt.NDArray[np.generic]]) -> bytes:
    """As ``numpy.savez_compressed``, with a fixed date inside, so that equal content gives equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


# ----------------------------------------------------------------------------------------------------------- manifest


def _manifest(card: Card, files: dict[str, bytes]) -> bytes:
    spec = card.spec
    manifest = {
        "format": FORMAT,
        "name": card.name,
        "fps": card.fps,
        "frames": card.frames,
        "size": spec.size,
        "channels": spec.modalities,
        "tasks": spec.tasks,
        "sources": {task: spec.sources(task) for task in spec.tasks},
        "graphs": [GraphEntry(name, "exact", runtime, "fp32", SELFTEST_TOLERANCE) for name, _, runtime in GRAPHS],
        "tensorrt": TENSORRT_RANGE,
        "card": card,
        "files": {name: FileEntry(hashlib.sha256(data).hexdigest(), len(data)) for name, data in sorted(files.items())},
    }
    checked = msgspec.convert(msgspec.to_builtins(manifest), Manifest)
    return msgspec.json.format(msgspec.json.encode(checked), indent=1) + b"\n"


def _license() -> bytes:
    """The text of this project's licence, from the installed distribution or the source tree."""
    beside = Path(__file__).resolve().parents[1] / "LICENSE"
    if beside.is_file():
        return beside.read_bytes()
    text = metadata.distribution("mmrphys-edge").read_text("licenses/LICENSE")
    if not text:
        raise InputError("the installed mmrphys-edge has no licence text; reinstall it")
    return text.encode()


# ------------------------------------------------------------------------------------------------------------- folder


def _check_replaceable(out: Path) -> None:
    """Only a bundle, an empty folder or nothing may stand where the new bundle goes."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out}: not a folder; name a new folder for the bundle")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise UsageError(f"{out}: a folder with other content; name a new one or an older bundle")


def _write_folder(files: dict[str, bytes], out: Path) -> Bundle:
    """Write beside ``out``, read back, then put in its place."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        for name, data in files.items():
            (part / name).write_bytes(data)
        load_bundle(part)
        part.chmod(0o755)
        _swap(part, out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return load_bundle(out)


def _swap(part: Path, out: Path) -> None:
    """``part`` becomes ``out``; an older ``out`` is set aside first and comes back if that fails."""
    old = part.with_name(f"{part.name}.old")
    if out.exists():
        out.replace(old)
    try:
        part.replace(out)
    except OSError:
        if old.exists():
            old.replace(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
