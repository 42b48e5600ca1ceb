"""Engines: TensorRT plans, built on the device that runs them and kept in a cache.

An engine is native code, so none is taken from elsewhere. Each is a sealed file (:mod:`edge.sealed_files`) whose header
is the :class:`Fingerprint` of what it was built from and for. It is handed to TensorRT only when the local key wrote it
and its fingerprint is that of this machine and this graph; the key lies apart from the cache, so that a copied cache
brings none along.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edge.bundle import Graph
from edge.cuda_driver import open_driver
from edge.engine_build import Progress, Span, plan_from_onnx, version_of
from edge.errors import EngineError, FaultError
from edge.sealed_files import key_id, local_key, peek, read_file, seal, sweep, unseal, write_file

__all__ = ["Engine", "EngineCache", "Entry", "Fingerprint", "Machine", "default_cache", "engine_from_graph",
           "fingerprint_of", "l4t_from_text", "machine_of"]  # fmt: skip

log = logging.getLogger(__name__)

ENGINE, TIMING = ".engine", ".timing"
MAX_TIMING_BYTES = 64 * 1024 * 1024
_L4T_RELEASE = Path("/etc/nv_tegra_release")


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the code in an engine depends on besides its graph. ``sm`` and ``l4t`` are ``none`` where there is none."""

    tensorrt: str
    sm: str
    l4t: str


class Fingerprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an engine was built from and for; ``onnx`` is the SHA-256 of the graph's bytes."""

    onnx: str
    precision: str
    span: str
    machine: Machine

    @property
    def digest(self) -> str:
        """16 hex digits, for a file's name."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]

    def difference(self, wanted: Fingerprint) -> str:
        """What differs from the one ``wanted`` here, in words; empty when nothing does."""
        built = _flat(self)
        pairs = ((name, built[name], here) for name, here in _flat(wanted).items())
        return ", ".join(f"{name} {there} (here {here})" for name, there, here in pairs if there != here)


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The header of an engine's file. ``key`` names the key that sealed it."""

    graph: str
    fingerprint: Fingerprint
    key: str


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """A plan that may be deserialised here. ``why``: where it came from."""

    plan: bytes
    fingerprint: Fingerprint
    why: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the cache: ``fingerprint`` is None where it cannot be read, ``refused`` None where it is sound."""

    path: Path
    size: int
    graph: str
    fingerprint: Fingerprint | None
    refused: str | None


class EngineCache:
    """The engines of this machine in one folder; ``key_path`` is where its secret lies or will lie."""

    def __init__(self, folder: Path, key_path: Path) -> None:
        self.folder = folder
        self._key_path = key_path

    def path(self, graph: str, fingerprint: Fingerprint) -> Path:
        """Where the engine of a graph lies."""
        return self.folder / f"{graph}-{fingerprint.digest}{ENGINE}"

    def load(self, graph: str, fingerprint: Fingerprint) -> bytes | None:
        """The plan, checked; None when there is none; EngineError, with the reason, when it must not be used."""
        path = self.path(graph, fingerprint)
        if not path.exists() and not path.is_symlink():
            return None
        _, plan = _opened(path, local_key(self._key_path), fingerprint)
        return plan

    def store(self, graph: str, fingerprint: Fingerprint, plan: bytes) -> Path:
        """Seal and keep a plan; FaultError when it cannot be written, and the engine before stays."""
        key, path = local_key(self._key_path), self.path(graph, fingerprint)
        sweep(self.folder)
        write_file(path, seal(key, msgspec.json.encode(_Header(graph, fingerprint, key_id(key))), plan))
        return path

    def load_timing(self, machine: Machine) -> bytes:
        """What earlier builds measured on this machine; empty when nothing or nothing that can be trusted."""
        path = self._timing_path(machine)
        try:
            header, data = unseal(local_key(self._key_path), read_file(path)) if path.exists() else (b"", b"")
        except EngineError as error:
            log.warning("%s: %s; building without it", path, error)
            return b""
        return data if header == msgspec.json.encode(machine) else b""

    def store_timing(self, machine: Machine, timing: bytes) -> None:
        """Keep what a build measured; a failure is logged, for nothing is lost but time."""
        try:
            sealed = seal(local_key(self._key_path), msgspec.json.encode(machine), timing)
            write_file(self._timing_path(machine), sealed)
        except FaultError as error:
            log.warning("%s", error)

    def entries(self, machine: Machine | None) -> Iterator[Entry]:
        """Every engine in the cache, checked against the local key and, unless None, against ``machine``."""
        for path in sorted(self.folder.glob(f"*{ENGINE}")):
            yield _entry(path, local_key(self._key_path), machine)

    def clean(self, machine: Machine | None, *, everything: bool) -> list[Path]:
        """Remove what cannot be used here (or ``everything``), and leavings of builds that were killed."""
        gone = sweep(self.folder)
        if everything:
            doomed = [path for suffix in (ENGINE, TIMING) for path in sorted(self.folder.glob(f"*{suffix}"))]
        else:
            doomed = [entry.path for entry in self.entries(machine) if entry.refused]
        return gone + [path for path in doomed if _removed(path)]

    def _timing_path(self, machine: Machine) -> Path:
        digest = hashlib.sha256(msgspec.json.encode(machine)).hexdigest()[:16]
        return self.folder / f"{digest}{TIMING}"


def _removed(path: Path) -> bool:
    """Whether ``path`` is gone now; a folder, or what may not be removed, stays."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s stays: %s", path, error.strerror)
        return False
    return True


def engine_from_graph(
    trt: Any,
    graph: Graph,
    fingerprint: Fingerprint,
    cache: EngineCache,
    *,
    span: Span,
    progress: Progress,
    timing: bytes = b"",
    anew: bool = False,
) -> Engine:
    """The engine of a bundle's verified graph: from the cache, or built and kept when there is none that may be used.

    ``timing`` is a cache of measurements to start from instead of the local one; ``anew`` builds in any case. Raises
    what :func:`edge.engine_build.plan_from_onnx` and :meth:`EngineCache.store` raise.
    """
    why = "asked for"
    if not anew:
        try:
            if (plan := cache.load(graph.name, fingerprint)) is not None:
                return Engine(plan, fingerprint, f"from the cache, {cache.path(graph.name, fingerprint)}")
            why = _why_none(graph.name, fingerprint, cache)
        except EngineError as error:
            log.warning("%s; building it anew", error)
            why = "the one in the cache was refused"
    measured = timing or cache.load_timing(fingerprint.machine)
    built = plan_from_onnx(trt, graph.data, span=span, timing=measured, progress=progress)
    path = cache.store(graph.name, fingerprint, built.data)
    cache.store_timing(fingerprint.machine, built.timing)
    return Engine(built.data, fingerprint, f"built ({why}), {path}")


def fingerprint_of(graph: Graph, span: Span, machine: Machine) -> Fingerprint:
    """The fingerprint of the engine that ``graph`` becomes."""
    return Fingerprint(hashlib.sha256(graph.data).hexdigest(), graph.entry.precision, str(span), machine)


def default_cache(folder: Path | None = None) -> EngineCache:
    """The engines in ``folder``, by default under ``XDG_CACHE_HOME``; the user's key is under ``XDG_STATE_HOME``."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return EngineCache(folder or Path(cache) / "mmrphys" / "engines", Path(state) / "mmrphys" / "engine.key")


def machine_of(trt: Any) -> Machine:
    """What machine it is, as far as engines depend on it."""
    driver = open_driver()
    try:
        text = _L4T_RELEASE.read_text(encoding="ascii", errors="replace")
    except OSError:
        text = ""
    return Machine(version_of(trt), driver.gpu().sm if driver else "none", l4t_from_text(text))


def l4t_from_text(text: str) -> str:
    """``R36.4.3`` from what ``/etc/nv_tegra_release`` says; ``none`` when it says nothing of the kind."""
    found = re.search(r"# (R\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{found[1]}.{found[2]}" if found else "none"


def _flat(fingerprint: Fingerprint) -> dict[str, str]:
    """Names and values as a person reads them."""
    machine = fingerprint.machine
    return {
        "TensorRT": machine.tensorrt, "SM": machine.sm, "L4T": machine.l4t, "precision": fingerprint.precision,
        "span": fingerprint.span, "graph": fingerprint.onnx[:12],
    }  # fmt: skip


def _header(data: bytes) -> _Header:
    try:
        return msgspec.json.decode(data, type=_Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EngineError("its header cannot be read") from error


def _opened(path: Path, key: bytes, wanted: Fingerprint | None) -> tuple[_Header, bytes]:
    """Header and plan of a sound file; ``wanted`` None accepts any fingerprint.

    The reason is taken from the header before the seal is checked, the plan only after.
    """
    try:
        data = read_file(path)
        _check_origin(_header(peek(data)), key, wanted)
        header, plan = unseal(key, data)
        return _header(header), plan
    except EngineError as error:
        raise EngineError(f"{path.name}: {error}") from error


def _check_origin(seen: _Header, key: bytes, wanted: Fingerprint | None) -> None:
    """EngineError when the header itself says that the engine is not this machine's."""
    if wanted is not None and (difference := seen.fingerprint.difference(wanted)):
        raise EngineError(f"built elsewhere: {difference}")
    if seen.key != key_id(key):
        raise EngineError("built elsewhere: the key of this machine did not write it")


def _entry(path: Path, key: bytes, machine: Machine | None) -> Entry:
    graph, fingerprint = path.name, None
    try:
        size = path.lstat().st_size
    except OSError as error:
        return Entry(path, 0, graph, None, str(error.strerror))
    try:
        seen = _header(peek(read_file(path)))
        graph, fingerprint = seen.graph, seen.fingerprint
        wanted = msgspec.structs.replace(fingerprint, machine=machine) if machine else None
        _opened(path, key, wanted)
    except EngineError as error:
        return Entry(path, size, graph, fingerprint, str(error).removeprefix(f"{path.name}: "))
    return Entry(path, size, graph, fingerprint, None)


def _why_none(name: str, fingerprint: Fingerprint, cache: EngineCache) -> str:
    """Why the cache holds no engine for ``fingerprint``: never built, or built for something else."""
    for path in sorted(cache.folder.glob(f"{name}-*{ENGINE}"), key=lambda one: one.lstat().st_mtime, reverse=True):
        try:
            return f"the newest one is for {_header(peek(read_file(path))).fingerprint.difference(fingerprint)}"
        except EngineError:
            continue
    return "the first of this graph"
