"""A bundle: graphs with a manifest that says what they are, verified before anything in it is used.

A bundle is one flat folder: ``manifest.json``, the graphs, ``selftest.npz`` and licences. The manifest holds size and
SHA-256 of every other file; its own SHA-256 is the bundle's id and stands in ``manifest.sha256``, against damage (not
against intent). Each file is opened once, without following links, hashed, and kept as bytes; the runtime is handed
those same bytes, so nothing can change between check and use.

The default bundle ships inside the package and is trusted by the hash in ``edge/bundles/default.sha256``; any other is
accepted unsigned and says so (``signature`` is ``"none"``). A signature (``manifest.sig``, :mod:`edge.bundle_sign`) is
checked before anything of the manifest is read, and one that does not hold is refused: it is never taken for none.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from edge.bundle_keys import Trust, trust_from_dir
from edge.bundle_sign import SIGNATURE, check_signature
from edge.errors import BundleError
from edge.graph_bytes import graph_facts
from edge.vitals import Mode

__all__ = [
    "FORCE",
    "FORMAT",
    "MANIFEST",
    "MANIFEST_HASH",
    "SELFTEST",
    "Bundle",
    "Channel",
    "FileEntry",
    "Graph",
    "GraphEntry",
    "Manifest",
    "Measured",
    "Reference",
    "RuntimeForm",
    "StreamAgreement",
    "StreamCard",
    "Task",
    "bundle_from_files",
    "check_total",
    "default_bundle_dir",
    "load_bundle",
    "manifest_bytes",
    "manifest_hash_line",
    "needs_thermal",
    "read_folder",
]

FORMAT = 1
FORCE = "force-"
"""Before a precision: take its graph even where its export refused it."""
MANIFEST = "manifest.json"
MANIFEST_HASH = "manifest.sha256"
SELFTEST = "selftest.npz"
MAX_IR_VERSION = 10
"""What ONNX Runtime 1.23, the last for Python 3.10, reads."""
MAX_FILES = 64
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_BUNDLE_BYTES = 256 * 1024 * 1024
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Channel = Literal["rgb", "thermal"]
Task = Literal["bvp", "rsp"]
Reference = Literal["windows", "fp32 stream"]
RuntimeForm = Literal["onnxrt", "tensorrt"]
"""``onnxrt``: the form made for ONNX Runtime on a CPU; ``tensorrt``: plain convolutions, for GPUs."""


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file must be, byte for byte."""

    sha256: str
    size: int


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the vital signs of a graph were from a reference's, on recordings.

    ``against``: the network's windows as torch computes them, or the fp32 stream. A hop is judged, once a second, where
    the reference shows a rate. ``pearson_least`` is that of the worst hop. Shifts are differences of rates per minute;
    ``far`` is how many judged hops shifted by more than 3.
    """

    task: Task
    against: Reference
    judged: int
    pearson_least: float
    shift_median: float
    shift_p95: float
    shift_max: float
    far: int


class GraphEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One graph and what it is for.

    ``tolerance`` is the largest difference from the self-test's outputs that a sound runtime shows, as a share of the
    output's standard deviation. ``refused`` says why its export holds it unusable; empty when it is sound.
    ``measured`` is what its export judged it by; fp32 windows are the reference and have none.
    """

    file: str
    mode: Mode
    runtime: RuntimeForm
    precision: Literal["fp32", "fp16", "int8"]
    tolerance: float
    refused: str = ""
    measured: tuple[Measured, ...] = ()


class StreamAgreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the waveform of ``task`` over some seconds with that of whole windows, every second of seeded recordings.

    The median of Pearson's r and the least; where windows show a rate, the median difference of the rates and the share
    of differences up to 2 per minute.
    """

    task: Task
    pearson_median: float
    pearson_least: float
    shift_per_min: float
    within_2_per_min: float


class StreamCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stream graphs are: an approximation of the window function, by running statistics.

    ``lags``: frames by which a task's newest sample stands behind the newest frame, and ``look_ahead_s``, what comes
    after a sample and is looked at for it. ``chunk``: frames of the shortest chunk and of the longest, which is a
    multiple of it. ``memory``: frames after which a frame weighs 1/e in the statistics.
    """

    approximates: str
    lags: dict[Task, int]
    look_ahead_s: dict[Task, float]
    chunk: tuple[int, int]
    memory: float
    agreement: tuple[StreamAgreement, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """``manifest.json``.

    Graphs take ``frames`` float32 ``[B, C, frames, size, size]`` at ``fps`` and give float32 ``[B, frames - 1]`` for
    each of ``tasks``. ``channels`` is the order of the modalities: RGB is three channels (0..255), thermal one (degC).
    ``sources`` names for each task the modalities its output depends on. ``tensorrt`` is the range of versions that the
    plain graphs are made for. ``card`` is the checkpoint's card. ``stream`` is there where stream graphs are, whose
    calls :mod:`edge.stream_graph` describes. ``judged_on`` names the recordings by which graphs were judged.
    ``version`` grows from one release of a name to the next, for an older one is not installed; 0 is no release.
    """

    format: int
    name: str
    fps: float
    frames: int
    size: int
    channels: tuple[Channel, ...]
    tasks: tuple[Task, ...]
    sources: dict[Task, tuple[Channel, ...]]
    graphs: tuple[GraphEntry, ...]
    tensorrt: str
    card: dict[str, Any]
    files: dict[str, FileEntry]
    stream: StreamCard | None = None
    judged_on: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Graph:
    """The verified bytes of one graph, and why it was chosen."""

    entry: GraphEntry
    data: bytes
    why: str

    @property
    def name(self) -> str:
        """Its file name without ``.onnx``."""
        return self.entry.file.removesuffix(".onnx")


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A verified bundle. ``files`` are the bytes that were hashed; ``id`` is ``sha256:`` and the manifest's hash."""

    id: str
    manifest: Manifest
    files: Mapping[str, bytes]
    place: Path
    signature: str = "none"

    @property
    def fps(self) -> float:
        """Frame rate of the model's grid, exact."""
        return self.manifest.fps

    @property
    def frames(self) -> int:
        """Frames a window (F)."""
        return self.manifest.frames

    @property
    def size(self) -> int:
        """Side of the model's grid in pixels."""
        return self.manifest.size

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Modalities in the order of the input's channels."""
        return self.manifest.channels

    @property
    def channel_count(self) -> int:
        """C: three for RGB and one for thermal."""
        return sum(3 if channel == "rgb" else 1 for channel in self.channels)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Outputs the graphs have."""
        return self.manifest.tasks

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """``(C, F, S, S)`` of one clip."""
        return self.channel_count, self.frames, self.size, self.size

    def needs_thermal(self, task: Task) -> bool:
        """Whether the output of ``task`` says nothing while thermal is absent.

        RSP of a model that sees thermal comes from there; BVP shows in RGB too, where the model sees it.
        """
        return needs_thermal(task, self.manifest.sources[task])

    def graph(self, mode: Mode, runtime: RuntimeForm, precision: str = "auto") -> Graph:
        """The graph for a mode, a kind of runtime and a precision.

        ``auto`` is fp32, the reference precision; ``force-fp16`` and ``force-int8`` take what its export refused.

        Raises
        ------
        BundleError
            There is none, and the message lists what there is; or its export refused it.
        """
        wanted = "fp32" if precision == "auto" else precision.removeprefix(FORCE)
        fitting = [entry for entry in self.manifest.graphs if (entry.mode, entry.precision) == (mode, wanted)]
        if not fitting:
            has = ", ".join(f"{g.mode}/{g.precision}" for g in self.manifest.graphs)
            raise BundleError(f"bundle {self.manifest.name!r} has no {mode}/{wanted} graph; it has {has}; choose one")
        own = [entry for entry in fitting if entry.runtime == runtime]
        entry = (own or fitting)[0]
        why = f"made for {runtime}" if own else f"made for {entry.runtime}; the bundle has no form for {runtime}"
        why = f"{mode} {wanted}{' (the default precision)' if precision == 'auto' else ''}, {why}"
        if not entry.refused:
            return Graph(entry, self.files[entry.file], why)
        if not precision.startswith(FORCE):
            raise BundleError(
                f"{entry.file} is not usable: {entry.refused}; choose another precision, or insist with "
                f"--precision {FORCE}{wanted}"
            )
        return Graph(entry, self.files[entry.file], f"{why}; forced, its export refused it: {entry.refused}")


def needs_thermal(task: Task, sources: Collection[Channel]) -> bool:
    """:meth:`Bundle.needs_thermal` of a ``task`` that comes from ``sources``."""
    return "thermal" in sources and (task == "rsp" or "rgb" not in sources)


def default_bundle_dir() -> Path:
    """Where the bundle that ships with the package lies."""
    return Path(__file__).resolve().parent / "bundles" / "default"


def load_bundle(path: Path | None, trust: Trust | None = None) -> Bundle:
    """Read and verify the bundle folder ``path``; None is the default bundle, whose manifest hash is known.

    ``trust`` says whose signature counts (None: the keys in their default folder).

    Raises
    ------
    BundleError
        Anything in it is not exactly what its manifest says, its signature does not hold, or it cannot be used here.
    """
    place = path or default_bundle_dir()
    files = read_folder(place)
    if path is None:
        if manifest_hash_line(files.get(MANIFEST, b"")) != _default_manifest_hash_line():
            raise BundleError(f"{place}: the default bundle's manifest was changed; reinstall mmrphys-edge")
        trust = Trust(place)  # the package itself vouches for it
    return bundle_from_files(files, place, trust)


def bundle_from_files(files: Mapping[str, bytes], place: Path, trust: Trust | None = None) -> Bundle:
    """:func:`load_bundle` of files that were read from ``place`` already, by their names."""
    if MANIFEST not in files:
        raise BundleError(f"{place}: no {MANIFEST}; name a folder written by 'mmrphys export'")
    data, signature = files[MANIFEST], "none"
    if files.get(MANIFEST_HASH, manifest_hash_line(data)) != manifest_hash_line(data):
        raise BundleError(f"{place / MANIFEST}: differs from {MANIFEST_HASH}; copy the bundle again")
    bundle_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
    trust = trust or trust_from_dir()
    if bundle_id in trust.revoked:
        raise BundleError(f"{place}: {bundle_id} is revoked in {trust.place}; use a newer one")
    if SIGNATURE in files:
        signature = check_signature(data, files[SIGNATURE], trust, place)
    manifest = _manifest(data, place)
    _check_files(manifest, files, place)
    _check_meaning(manifest, place)
    for entry in manifest.graphs:
        _check_graph(files[entry.file], place / entry.file)
    return Bundle(bundle_id, manifest, files, place, signature)


def manifest_bytes(manifest: Manifest) -> bytes:
    """How ``manifest.json`` is written: one way, so that the same bundle has the same id."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def manifest_hash_line(manifest: bytes) -> bytes:
    """What ``sha256sum manifest.json`` prints."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def _default_manifest_hash_line() -> bytes:
    try:
        return (default_bundle_dir().parent / "default.sha256").read_bytes()
    except OSError as error:
        raise BundleError(f"{error.filename}: {error.strerror}; reinstall mmrphys-edge") from error


# ------------------------------------------------------------------------------------------------------------ reading


def read_folder(place: Path) -> dict[str, bytes]:
    """Every file of a flat folder, read once; BundleError for anything that is not a plain file, or too much of it."""
    try:
        folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise BundleError(f"{place}: {error.strerror}; a bundle is a folder written by 'mmrphys export'") from error
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, MAX_FILES + 1))
        if len(names) > MAX_FILES:
            raise BundleError(f"{place}: more than {MAX_FILES} files; a bundle is a folder written by 'mmrphys export'")
        files: dict[str, bytes] = {}
        for name in names:
            files[name] = _read_file(folder, name, place)
            check_total(sum(map(len, files.values())), place)
        return files
    finally:
        os.close(folder)


def check_total(size: int, place: Path) -> None:
    """BundleError when all files together are larger than a bundle may be."""
    if size > MAX_BUNDLE_BYTES:
        raise BundleError(f"{place}: more than {MAX_BUNDLE_BYTES} bytes in all, which no bundle has; export it anew")


def _read_file(folder: int, name: str, place: Path) -> bytes:
    """A plain file of the open ``folder``. O_NONBLOCK so that a named pipe cannot stall the start."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        raise BundleError(f"{place / name}: not a readable plain file ({error.strerror}); export it anew") from error
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise BundleError(f"{place / name}: not a plain file; a bundle is flat, remove it")
        if facts.st_size > MAX_FILE_BYTES:
            raise BundleError(f"{place / name}: {facts.st_size} bytes, wanted at most {MAX_FILE_BYTES}; export it anew")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(handle)


# ----------------------------------------------------------------------------------------------------------- checking


class _FormatOnly(msgspec.Struct):
    format: int


def _manifest(data: bytes, place: Path) -> Manifest:
    try:
        seen = msgspec.json.decode(data, type=_FormatOnly).format
        if seen != FORMAT:
            raise BundleError(
                f"{place}: bundle format {seen}, this version reads {FORMAT}; export it with this version"
            )
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(f"{place / MANIFEST}: not a manifest ({error}); export it anew") from error


def _check_files(manifest: Manifest, files: Mapping[str, bytes], place: Path) -> None:
    """The folder holds exactly the files of the manifest, with their sizes and hashes."""
    own = {MANIFEST, MANIFEST_HASH, SIGNATURE}
    listed = set(manifest.files) | {MANIFEST, MANIFEST_HASH} | ({SIGNATURE} & set(files))
    for name in sorted(listed):
        if not FILE_NAME.fullmatch(name) or own & set(manifest.files):
            raise BundleError(
                f"{place}: the manifest lists {name!r}, which is no name for a bundle file; export it anew"
            )
    if missing := sorted(listed - set(files)):
        raise BundleError(f"{place}: {missing[0]} is missing; copy the whole folder")
    if extra := sorted(set(files) - listed):
        raise BundleError(f"{place}: {extra[0]!r} is not in the manifest; remove it or export anew")
    for name, entry in manifest.files.items():
        if len(files[name]) != entry.size or hashlib.sha256(files[name]).hexdigest() != entry.sha256:
            raise BundleError(f"{place / name}: differs from the manifest; copy the bundle again")


def _check_meaning(manifest: Manifest, place: Path) -> None:
    """What the manifest says can be run."""
    graph_files = {entry.file for entry in manifest.graphs}
    problems = {
        "no graphs": not manifest.graphs,
        f"a graph that is not among its files besides {sorted(manifest.files)}": not graph_files <= set(manifest.files),
        f"no {SELFTEST}": SELFTEST not in manifest.files,
        f"version {manifest.version}": not 0 <= manifest.version < 2**53,
        f"fps {manifest.fps}": not 1.0 <= manifest.fps <= 1000.0,
        f"{manifest.frames} frames": not 2 <= manifest.frames <= 10_000,
        f"size {manifest.size}": not 1 <= manifest.size <= 1024,
        f"channels {manifest.channels}": manifest.channels not in (("rgb",), ("thermal",), ("rgb", "thermal")),
        f"tasks {manifest.tasks}": not manifest.tasks or len(set(manifest.tasks)) != len(manifest.tasks),
        f"sources for {sorted(manifest.sources)}": set(manifest.sources) != set(manifest.tasks),
        f"sources {sorted(manifest.sources.values())}": not all(
            seen and set(seen) <= set(manifest.channels) for seen in manifest.sources.values()
        ),
    }
    for problem, there in problems.items():
        if there:
            raise BundleError(f"{place / MANIFEST}: it has {problem}, which cannot be run; export it anew")


def _check_graph(data: bytes, name: Path) -> None:
    """IR version this runtime reads, and no data outside the file."""
    try:
        facts = graph_facts(data)
    except ValueError as error:
        raise BundleError(f"{name}: not an ONNX file ({error}); export it anew") from error
    if facts.external_data:
        raise BundleError(f"{name}: keeps weights in another file; export it with all data inside")
    if not 1 <= facts.ir_version <= MAX_IR_VERSION:
        raise BundleError(f"{name}: ONNX IR version {facts.ir_version}, wanted 1 to {MAX_IR_VERSION}; export it anew")
