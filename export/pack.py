"""A checkpoint into a bundle folder: graphs, self-test, licence, manifest. ``edge/bundle.py`` says what they mean."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Collection, Mapping
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
    load_bundle,
    manifest_hash_line,
)
from edge.errors import InputError, UsageError
from edge.selftest import STREAM_SELFTEST
from export.clip_set import Clips, Geometry, clips_from_npz, clips_from_scene
from export.compare import Difference, compare_forms, compare_golden
from export.golden import golden_from_checkpoint, npz_from_golden
from export.stream_graphs import streams_from_model
from export.window_graphs import MadeGraph, Precision, Workshop, fp32_graphs
from training.checkpoint import Card, card_path, load_card, model_from_checkpoint

__all__ = ["Packed", "bundle_from_checkpoint", "check_replaceable", "license_text", "write_bundle"]

TENSORRT_RANGE = ">=10.3,<12"
"""JetPack 6 brings 10.3; later than 11 is unknown."""
RECORDINGS = {9: 16, 36: 12, 72: 6}
"""Synthetic recordings that precisions are ranged and judged on, half each; large ones fill the memory."""
STREAM_RECORDINGS = 4
"""Likewise, that streams and windows are compared on."""


class Packed(msgspec.Struct, frozen=True):
    """A finished bundle and how its graphs compare with the model they were made from.

    ``differences`` are those of the fp32 graphs, ``graphs`` has the agreement in vital signs of the others.
    """

    bundle: Bundle
    differences: list[Difference]
    graphs: list[MadeGraph]


def bundle_from_checkpoint(
    checkpoint: Path,
    out: Path,
    precisions: Collection[Precision] = (),
    clips: Path | None = None,
    *,
    force: bool = False,
    stream: bool = False,
) -> Packed:
    """Export ``checkpoint`` (own ``.safetensors`` with card) to the bundle folder ``out``, replacing an older one.

    fp32 is always there; ``precisions`` come beside it, ranged and judged on ``clips`` (None: on the synthetic scene).
    With ``force`` a precision that shifts the rates is kept and marked as refused. With ``stream`` the stream graphs
    come too. The folder appears whole or not at all, after it was read back and verified.

    Raises
    ------
    InputError
        The checkpoint, its golden pair or the clips cannot be used, a graph differs from the model, or the model from
        the golden output, by more than allowed, or a precision shifts the rates.
    UsageError
        ``out`` is something else than a bundle.
    """
    check_replaceable(out)
    card = load_card(checkpoint)
    _check_frames(checkpoint, card)
    model = model_from_checkpoint(checkpoint)
    golden = golden_from_checkpoint(checkpoint, card, model)
    made, judged_on = fp32_graphs(model, card.frames), {}
    differences = compare_golden(model, golden) if card.golden else []
    differences += compare_forms(model, {graph.form: graph.data for graph in made}, golden.frames)
    if {"fp16", "int8"} & set(precisions):
        seen = _clips(card, clips, RECORDINGS[card.size])
        made += _judged(Workshop(model, card.frames, card.fps, golden, seen), precisions, force=force)
        judged_on = {"judged_on": f"every second of {seen.origin}"}
    written = msgspec.json.decode(card_path(checkpoint).read_bytes())
    files = {graph.entry.file: graph.data for graph in made} | {
        SELFTEST: npz_from_golden(golden),
        "LICENSE": license_text(),
    }
    about, entries = _about(card, written) | judged_on, [graph.entry for graph in made]
    if stream:
        found = streams_from_model(model, card.frames, card.fps, golden, _clips(card, clips, STREAM_RECORDINGS).frames)
        about, entries = about | {"stream": found.card}, entries + found.entries
        differences = differences + found.differences
        files |= found.graphs | {STREAM_SELFTEST: found.selftest}
    return Packed(write_bundle(about, entries, files, out), differences, made)


def _clips(card: Card, clips: Path | None, count: int) -> Clips:
    geometry = Geometry(card.spec.modalities, card.fps, card.frames, card.size)
    return clips_from_npz(clips, geometry) if clips else clips_from_scene(geometry, count)


def _judged(workshop: Workshop, precisions: Collection[Precision], *, force: bool) -> list[MadeGraph]:
    """The graphs of ``precisions``; InputError for the first that the gate refuses, unless it is to be kept so."""
    made = workshop.fp16() if "fp16" in precisions else []
    made += workshop.int8() if "int8" in precisions else []
    for graph in made:
        if graph.entry.refused and not force:
            raise InputError(
                f"{graph.entry.file} is not usable: {graph.entry.refused}; leave --precision {graph.entry.precision} "
                "out, or keep it marked as refused with --force"
            )
    return made


def _check_frames(checkpoint: Path, card: Card) -> None:
    if not card.spec.takes(card.frames):
        wanted = "one more than a multiple of 4, for RSP" if "rsp" in card.tasks else "at least 2"
        raise InputError(f"{card_path(checkpoint)}: windows of {card.frames} frames, wanted {wanted}; mend the card")


# ----------------------------------------------------------------------------------------------------------- manifest


def _about(card: Card, card_as_written: dict[str, Any]) -> dict[str, Any]:
    """What the manifest says of a model. The card stands word for word: new fields change no older bundle."""
    spec = card.spec
    return {
        "name": card.name,
        "fps": card.fps,
        "frames": card.frames,
        "size": spec.size,
        "channels": spec.modalities,
        "tasks": spec.tasks,
        "sources": {task: spec.sources(task) for task in spec.tasks},
        "card": card_as_written,
    }


def _manifest(about: Mapping[str, Any], graphs: list[GraphEntry], files: dict[str, bytes]) -> bytes:
    entries = {name: FileEntry(hashlib.sha256(data).hexdigest(), len(data)) for name, data in sorted(files.items())}
    held = {"format": FORMAT, "tensorrt": TENSORRT_RANGE, **about, "graphs": graphs, "files": entries}
    checked = msgspec.convert(msgspec.to_builtins(held), Manifest)
    return msgspec.json.format(msgspec.json.encode(checked), indent=1) + b"\n"


def license_text() -> bytes:
    """The text of this project's licence, from the installed distribution or the source tree."""
    beside = Path(__file__).resolve().parents[1] / "LICENSE"
    if beside.is_file():
        return beside.read_bytes()
    text = metadata.distribution("mmrphys-edge").read_text("licenses/LICENSE")
    if not text:
        raise InputError("the installed mmrphys-edge has no licence text; reinstall it")
    return text.encode()


# ------------------------------------------------------------------------------------------------------------- folder


def check_replaceable(out: Path) -> None:
    """Only a bundle, an empty folder or nothing may stand where the new bundle goes."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out}: not a folder; name a new folder for the bundle")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise UsageError(f"{out}: a folder with other content; name a new one or an older bundle")


def write_bundle(about: Mapping[str, Any], graphs: list[GraphEntry], files: dict[str, bytes], out: Path) -> Bundle:
    """A bundle folder of ``files`` with its manifest: ``about`` has the fields that say what the model is."""
    manifest = _manifest(about, graphs, files)
    return _write_folder(files | {MANIFEST: manifest, MANIFEST_HASH: manifest_hash_line(manifest)}, out)


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
