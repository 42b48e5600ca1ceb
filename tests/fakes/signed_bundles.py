"""Small bundles of any name and version, signed by keys that a test makes."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.bundle import MANIFEST, MANIFEST_HASH, SELFTEST, load_bundle, manifest_bytes, manifest_hash_line
from edge.bundle_keys import Trust, make_keys, private_key, trust_from_dir
from edge.bundle_sign import SIGNATURE, signature_line

GRAPH = "window.cpu-fp32.onnx"


@functools.cache
def _default() -> tuple[bytes, Mapping[str, bytes]]:
    """The default bundle cut down to one graph, for it is loaded a thousand times."""
    bundle = load_bundle(None)
    manifest = bundle.manifest
    kept = {name: entry for name, entry in manifest.files.items() if name in {GRAPH, SELFTEST, "LICENSE"}}
    graphs = tuple(entry for entry in manifest.graphs if entry.file == GRAPH)
    small = msgspec.structs.replace(manifest, files=kept, graphs=graphs, stream=None, judged_on="")
    return manifest_bytes(small), {name: bundle.files[name] for name in kept}


def small_files(version: int = 1, name: str = "small") -> dict[str, bytes]:
    """An unsigned bundle of one graph."""
    manifest, files = _default()
    data = json.dumps(json.loads(manifest) | {"name": name, "version": version}).encode()
    return {MANIFEST: data, MANIFEST_HASH: manifest_hash_line(data), **files}


@dataclass(frozen=True)
class Signer:
    """A key pair, whose public half lies in the folder ``keys``."""

    pem: Path
    keys: Path
    id: str

    @classmethod
    def make(cls, folder: Path, name: str = "release", keys: str = "keys") -> Signer:
        """A new pair ``name`` in ``folder``, trusted in its sub-folder ``keys``."""
        place = folder / keys
        place.mkdir(exist_ok=True)
        public, key = make_keys(folder / f"{name}.pem")
        (place / public.name).write_bytes(public.read_bytes())
        return cls(folder / f"{name}.pem", place, key)

    @property
    def trust(self) -> Trust:
        """What the folder of keys says now."""
        return trust_from_dir(self.keys)

    def signed(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """``files`` with this key's signature."""
        return {**files, SIGNATURE: signature_line(files[MANIFEST], private_key(self.pem))}

    def bundle(self, version: int = 1, name: str = "small") -> dict[str, bytes]:
        """A small signed bundle."""
        return self.signed(small_files(version, name))


def write_files(files: Mapping[str, bytes], folder: Path) -> Path:
    """A folder of ``files``, unchecked."""
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder
