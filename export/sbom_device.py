"""``make sbom``: the packages of the device part as CycloneDX, and their licences as a table, from constraints.txt.

``python -m export.sbom_device`` writes ``edge/sbom/python3.N.cdx.json`` for the Python that runs it: all that
``pip install -c constraints.txt mmrphys-edge`` installs there, by the requirements of what is installed, in the
releases that constraints.txt names. Licences are those that packages state of themselves; where they do so in words,
a table here has the SPDX name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from export.sbom import document

__all__ = ["device_sbom", "licence_of", "licence_table", "packages_of"]

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "edge" / "sbom"
PROJECT = "mmrphys-edge"

_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "BSD-3-Clause": "BSD-3-Clause",
    "ISC License": "ISC",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
    "MIT": "MIT",
    "MIT License": "MIT",
}
"""What packages say in words."""
_BY_NAME = {
    **dict.fromkeys(("lz4", "mpmath", "numpy", "pyserial", "scipy", "sympy"), "BSD-3-Clause"),
    **dict.fromkeys(("coloredlogs", "humanfriendly"), "MIT"),
}
"""Read from their licence texts, for they only say BSD, or say it at length."""
_NOTES = {
    "av": "its wheel holds FFmpeg (LGPL-3.0) and x264, x265 (GPL-2.0)",
    "opencv-python-headless": "its wheel holds FFmpeg (LGPL-2.1)",
}


def packages_of(project: str) -> dict[str, list[str]]:
    """Every package that ``project`` needs here, extras left out, with what each needs itself; ``project`` included."""
    found: dict[str, list[str]] = {}
    waiting: list[str] = [canonicalize_name(project)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = sorted(set(_needs(name)))
            waiting += found[name]
    return dict(sorted(found.items()))


def _needs(name: str) -> Iterator[str]:
    for line in metadata.requires(name) or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def pinned(text: str) -> dict[str, str]:
    """The releases of constraints.txt for this Python, by canonical name."""
    lines = [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]
    return {
        canonicalize_name(line.name): str(line.specifier).removeprefix("==")
        for line in lines
        if line.marker is None or line.marker.evaluate()
    }


def licence_of(name: str) -> str:
    """SPDX expression of an installed package; LookupError when it states none that is known here."""
    about = metadata.metadata(name)
    expression, words = ((about.get_all(field) or [""])[0] for field in ("License-Expression", "License"))
    stated = expression or _BY_NAME.get(name) or _SPDX.get(words.strip())
    classified = [_SPDX[one] for one in about.get_all("Classifier") or [] if one in _SPDX]
    if not (stated or classified):
        raise LookupError(f"{name} states no licence that is known: read it and add it to {__name__}")
    return stated or classified[0]


def device_sbom(constraints: str) -> bytes:
    """The document for this Python; LookupError when a package is installed in another release than is pinned."""
    pins, packages = pinned(constraints), packages_of(PROJECT)
    refs = {name: _purl(name) for name in packages}
    for name in packages.keys() - {PROJECT}:
        if metadata.version(name) != pins.get(name):
            raise LookupError(f"{name} {metadata.version(name)} is installed, constraints.txt has {pins.get(name)}")
    components = [_component(name, refs[name]) for name in packages if name != PROJECT]
    needs = [{"ref": refs[name], "dependsOn": [refs[one] for one in ones]} for name, ones in packages.items()]
    subject = _component(PROJECT, refs[PROJECT]) | {"type": "application"}
    return document(subject, components, needs, [{"name": "mmrphys:python", "value": _python()}])


def licence_table(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """Package, licence and releases of SBOMs by their Python, as Markdown."""
    rows: dict[str, dict[str, Any]] = {}
    for python, held in documents.items():
        for one in held["components"]:
            rows.setdefault(one["name"], one | {"versions": {}})["versions"][python] = one["version"]
    head = ["package", *(f"Python {python}" for python in documents), "licence"]
    lines = [head, ["---"] * len(head)]
    for name, one in sorted(rows.items()):
        notes = [entry["value"] for entry in one.get("properties", [])]
        licence = "; ".join([one["licenses"][0]["expression"], *notes])
        lines.append([name, *(one["versions"].get(python, "") for python in documents), licence])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"# Packages of the device part and their licences\n\n`make sbom` writes it from constraints.txt.\n\n{table}\n"
    )


def _component(name: str, ref: str) -> dict[str, Any]:
    notes = [{"name": "mmrphys:note", "value": _NOTES[name]}] if name in _NOTES else []
    return {
        "type": "library",
        "bom-ref": ref,
        "name": name,
        "version": metadata.version(name),
        "licenses": [{"expression": licence_of(name)}],
        "purl": ref,
    } | ({"properties": notes} if notes else {})


def _purl(name: str) -> str:
    return f"pkg:pypi/{name}@{metadata.version(name)}"


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def main() -> int:
    """Write the document of this Python, and the table of all that are there."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"python{_python()}.cdx.json"
    path.write_bytes(device_sbom((ROOT / "constraints.txt").read_text(encoding="utf-8")))
    found = sorted(OUT.glob("python*.cdx.json"))
    documents = {
        one.name.removeprefix("python").removesuffix(".cdx.json"): json.loads(one.read_bytes()) for one in found
    }
    (OUT / "licences.md").write_text(licence_table(documents), encoding="utf-8")
    sys.stdout.write(f"{path.relative_to(ROOT)}: {len(documents[_python()]['components'])} packages\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
