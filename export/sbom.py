"""What is in a bundle and under which licence, as CycloneDX 1.6 JSON: ``sbom.cdx.json`` beside the graphs.

Documents have no time and no serial number, so that the same content gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

__all__ = ["SBOM", "bundle_sbom", "document"]

SBOM = "sbom.cdx.json"
_KINDS = {".onnx": "machine-learning-model", ".npz": "data"}


def bundle_sbom(about: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """Every file of a bundle with its SHA-256, and what its checkpoint was made with; ``about`` as its manifest."""
    card: Mapping[str, Any] = about["card"]
    foreign = "network_sha256" in card
    licence = {"name": "that of the network's author"} if foreign else {"id": "Apache-2.0"}
    model = {
        "type": "machine-learning-model",
        "bom-ref": "bundle",
        "name": about["name"],
        "licenses": [{"license": licence}],
    }
    made_with = [
        {"name": f"mmrphys:made-with:{name}", "value": str(version)}
        for name, version in sorted(card.get("versions", {}).items())
    ]
    held = [_file(name, data) for name, data in sorted(files.items()) if name != SBOM]
    return document(model, held, [{"ref": "bundle", "dependsOn": [one["bom-ref"] for one in held]}], made_with)


def document(
    subject: Mapping[str, Any],
    components: list[dict[str, Any]],
    dependencies: list[dict[str, Any]],
    properties: list[dict[str, str]],
) -> bytes:
    """A CycloneDX document about ``subject``."""
    metadata = {"component": subject} | ({"properties": properties} if properties else {})
    held = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": dependencies,
    }
    return json.dumps(held, indent=1, ensure_ascii=False).encode() + b"\n"


def _file(name: str, data: bytes) -> dict[str, Any]:
    return {
        "type": _KINDS.get(PurePath(name).suffix, "file"),
        "bom-ref": name,
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}],
    }
