"""A checkpoint into a bundle folder: graphs, self-test, licence, SBOM, manifest; ``edge/bundle.py`` reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
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
    manifest_bytes,
    manifest_hash_line,
)
from edge.bundle_folder import check_replaceable, write_folder
from edge.errors import InputError
from edge.selftest import STREAM_SELFTEST
from export.clip_set import SCENE, Clips, Geometry, held_apart, joined
from export.clip_video import clips_from_words
from export.compare import Difference, compare_forms, compare_golden
from export.golden import golden_from_checkpoint, npz_from_golden
from export.sbom import SBOM, bundle_sbom
from export.stream_graphs import streams_from_model
from export.window_graphs import MadeGraph, Precision, Workshop, fp32_graphs
from training.checkpoint import Card, card_path, load_card, model_from_checkpoint

__all__ = ["Packed", "bundle_from_checkpoint", "check_replaceable", "license_text", "write_bundle"]

TENSORRT_RANGE = ">=10.3,<12"
"""JetPack 6 brings 10.3; later than 11 is unknown."""
RECORDINGS = {9: 16, 36: 12, 72: 6}
"""Synthetic recordings that precisions are ranged and judged on, half each, and streams on all; large ones fill the
memory."""


class Packed(msgspec.Struct, frozen=True):
    """A finished bundle and how its graphs compare with the model they were made from.

    ``differences`` are those of fp32 graphs; ``graphs`` have their agreement in vital signs, where it is judged.
    """

    bundle: Bundle
    differences: list[Difference]
    graphs: list[MadeGraph]


def bundle_from_checkpoint(
    checkpoint: Path,
    out: Path,
    precisions: Collection[Precision] = (),
    clips: Sequence[str] = (),
    *,
    force: bool = False,
    stream: bool = False,
) -> Packed:
    """Export ``checkpoint`` (own ``.safetensors`` with card) to the bundle folder ``out``, replacing an older one.

    fp32 is always there; ``precisions`` come beside it, ranged and judged on what ``clips`` name
    (:func:`export.clip_video.clips_from_words`). With ``stream`` the stream graphs come too. With ``force`` a graph
    that shifts the rates is kept and marked as refused. The folder appears whole or not at all, after it was read back
    and verified.

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
    made = fp32_graphs(model, card.frames)
    differences = compare_golden(model, golden) if card.golden else []
    differences += compare_forms(model, {graph.form: graph.data for graph in made}, golden.frames)
    about = _about(card, msgspec.json.decode(card_path(checkpoint).read_bytes()))
    files = {SELFTEST: npz_from_golden(golden), "LICENSE": license_text()}
    chosen = [precision for precision in precisions if precision != "fp32"]
    if chosen or stream:
        geometry = Geometry(card.spec.modalities, card.fps, card.frames, card.size)
        sources = clips_from_words(clips, geometry, RECORDINGS[card.size])
        _check_apart(sources, chosen)
        workshop = Workshop(model, card.frames, card.fps, golden, sources) if chosen else None
        made += _windows(workshop, chosen) if workshop else []
        about["judged_on"] = _judged_on(workshop, sources if stream else ())
    if stream:
        layers = workshop.int8_layers if workshop else {}
        found = streams_from_model(model, card.frames, card.fps, golden, sources, chosen, layers)
        made, about["stream"], files[STREAM_SELFTEST] = made + found.made, found.card, found.selftest
        differences = differences + found.differences
    _check_usable(made, force=force)
    files |= {graph.entry.file: graph.data for graph in made}
    return Packed(write_bundle(about, [graph.entry for graph in made], files, out), differences, made)


def _check_apart(sources: Sequence[Clips], precisions: Collection[Precision]) -> None:
    """InputError when nothing is left to choose ranges on besides the recordings that judge."""
    to_range, to_judge = held_apart(sources)
    if "int8" in precisions and not to_range.recordings:
        raise InputError(
            f"{to_judge.origin}: each has one recording, which judges; int8 chooses its ranges on others: name a set "
            f"of two or more, or {SCENE!r} besides"
        )


def _windows(workshop: Workshop, precisions: Collection[Precision]) -> list[MadeGraph]:
    made = workshop.fp16() if "fp16" in precisions else []
    return made + (workshop.int8() if "int8" in precisions else [])


def _judged_on(workshop: Workshop | None, streams: Sequence[Clips]) -> str:
    """Which recordings decided."""
    parts = [f"windows: {workshop.to_judge.origin}"] if workshop else []
    if workshop and workshop.int8_layers:
        parts.append(f"ranges chosen on {workshop.to_range.origin}")
    return "; ".join(parts + ([f"fp32 streams: {joined(streams).origin}"] if streams else []))


def _check_usable(made: list[MadeGraph], *, force: bool) -> None:
    """InputError for the first graph that a gate refuses, unless it is to be kept so."""
    for graph in made:
        if graph.entry.refused and not force:
            option = "--mode stream" if graph.entry.precision == "fp32" else f"--precision {graph.entry.precision}"
            raise InputError(
                f"{graph.entry.file} is not usable: {graph.entry.refused}; leave {option} out, or keep it marked as "
                "refused with --force"
            )


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
    return manifest_bytes(checked)


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


def write_bundle(about: Mapping[str, Any], graphs: list[GraphEntry], files: dict[str, bytes], out: Path) -> Bundle:
    """A bundle folder of ``files`` with its manifest: ``about`` has the fields that say what the model is."""
    files = files | {SBOM: bundle_sbom(about, files)}
    manifest = _manifest(about, graphs, files)
    return write_folder(files | {MANIFEST: manifest, MANIFEST_HASH: manifest_hash_line(manifest)}, out)
