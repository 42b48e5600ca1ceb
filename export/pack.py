"""A checkpoint into a bundle folder: graphs, self-test, licence, manifest. ``edge/bundle.py`` says what they mean."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from edge.bundle import (
    FORMAT,
    MANIFEST,
    MANIFEST_HASH,
    SELFTEST,
    Bundle,
    FileEntry,
    GraphEntry,
    Manifest,
    RuntimeForm,
    load_bundle,
    manifest_hash_line,
)
from edge.errors import InputError, UsageError
from export.compare import Difference, compare_forms, compare_golden
from export.golden import golden_from_checkpoint, npz_from_golden
from export.graphs import Form, onnx_from_model
from training.checkpoint import Card, card_path, load_card, model_from_checkpoint

__all__ = ["Packed", "bundle_from_checkpoint"]

TENSORRT_RANGE = ">=10.3,<12"
"""JetPack 6 brings 10.3; later than 11 is unknown."""
SELFTEST_TOLERANCE = 1e-3
"""For fp32: ten times what torch and ONNX may differ by, so that other CPUs' and GPUs' rounding passes."""
GRAPHS: tuple[tuple[str, Form, RuntimeForm], ...] = (
    ("window.fp32.onnx", "plain", "tensorrt"),
    ("window.cpu-fp32.onnx", "fast", "onnxrt"),
)


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
        The checkpoint or its golden pair cannot be used, or a graph differs from the model, or the model from the
        golden output, by more than allowed.
    UsageError
        ``out`` is something else than a bundle.
    """
    _check_replaceable(out)
    card = load_card(checkpoint)
    _check_frames(checkpoint, card)
    model = model_from_checkpoint(checkpoint)
    golden = golden_from_checkpoint(checkpoint, card, model)
    graphs = {name: onnx_from_model(model, card.frames, form).SerializeToString() for name, form, _ in GRAPHS}
    differences = compare_golden(model, golden) if card.golden else []
    differences += compare_forms(model, {form: graphs[name] for name, form, _ in GRAPHS}, golden.frames)
    files = graphs | {SELFTEST: npz_from_golden(golden), "LICENSE": _license()}
    files[MANIFEST] = _manifest(card, msgspec.json.decode(card_path(checkpoint).read_bytes()), files)
    files[MANIFEST_HASH] = manifest_hash_line(files[MANIFEST])
    return Packed(_write_folder(files, out), differences)


def _check_frames(checkpoint: Path, card: Card) -> None:
    if card.frames < 2 or ("rsp" in card.tasks and (card.frames - 1) % 4):
        wanted = "one more than a multiple of 4, for RSP" if "rsp" in card.tasks else "at least 2"
        raise InputError(f"{card_path(checkpoint)}: windows of {card.frames} frames, wanted {wanted}; mend the card")


# ----------------------------------------------------------------------------------------------------------- manifest


def _manifest(card: Card, card_as_written: dict[str, Any], files: dict[str, bytes]) -> bytes:
    """The manifest. It carries the card word for word, so that a later version's new fields change no older bundle."""
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
        "card": card_as_written,
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
