from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edge.bundle import load_bundle
from export.sbom import SBOM, bundle_sbom
from export.sbom_device import device_sbom, licence_of, licence_table, packages_of, pinned

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted((ROOT / "edge" / "sbom").glob("python*.cdx.json"))
HERE = f"python{sys.version_info.major}.{sys.version_info.minor}.cdx.json"


def constraints() -> str:
    return (ROOT / "constraints.txt").read_text(encoding="utf-8")


def assert_cyclonedx(data: bytes) -> None:
    """By the schema of CycloneDX itself."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None


def test_the_schema_refuses_what_is_none() -> None:
    held = json.loads(load_bundle(None).files[SBOM])
    held["components"][0]["hashes"][0]["content"] = "no hash"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(held)) is not None


def test_the_default_bundle_lists_every_file_with_its_hash() -> None:
    bundle = load_bundle(None)
    assert_cyclonedx(bundle.files[SBOM])
    held = json.loads(bundle.files[SBOM])
    listed = {one["name"]: one["hashes"][0]["content"] for one in held["components"]}
    wanted = {name: entry.sha256 for name, entry in bundle.manifest.files.items() if name != SBOM}
    assert listed == wanted
    assert held["metadata"]["component"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert {one["name"] for one in held["metadata"]["properties"]} >= {"mmrphys:made-with:torch"}


def test_the_same_bundle_has_the_same_sbom_and_the_committed_one() -> None:
    bundle = load_bundle(None)
    files = {name: bundle.files[name] for name in bundle.manifest.files}
    about = {"name": bundle.manifest.name, "card": bundle.manifest.card}
    assert bundle_sbom(about, dict(reversed(files.items()))) == bundle.files[SBOM]


def test_a_foreign_network_is_not_claimed_as_ours() -> None:
    data = bundle_sbom({"name": "theirs", "card": {"network_sha256": "0" * 64}}, {"window.fp32.onnx": b"x"})
    assert_cyclonedx(data)
    held = json.loads(data)
    assert held["metadata"]["component"]["licenses"] == [{"license": {"name": "that of the network's author"}}]
    assert held["components"][0]["hashes"][0]["content"] == hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name)
def test_the_committed_lists_of_the_device_part_are_what_constraints_pin(path: Path) -> None:
    assert_cyclonedx(path.read_bytes())
    held = json.loads(path.read_bytes())
    python = path.name.removeprefix("python").removesuffix(".cdx.json")
    target = {"python_version": python, "python_full_version": f"{python}.0"}
    lines = [Requirement(line) for line in constraints().splitlines() if line and not line.startswith("#")]
    pins = {
        canonicalize_name(line.name): str(line.specifier).removeprefix("==")
        for line in lines
        if line.marker is None or line.marker.evaluate(target)
    }
    listed = {one["name"]: one["version"] for one in held["components"]}
    assert listed == {name: pins[name] for name in listed}, "run 'make sbom'"
    assert {"numpy", "onnxruntime", "av", "cryptography"} <= listed.keys()
    assert not {"torch", "onnx", "matplotlib"} & listed.keys()
    assert all(one["licenses"][0]["expression"] for one in held["components"])


def test_there_is_a_list_for_jetpack_and_for_this_machine() -> None:
    assert {path.name for path in COMMITTED} >= {"python3.10.cdx.json", "python3.11.cdx.json"}


def test_the_committed_list_is_what_the_command_writes() -> None:
    committed = [path for path in COMMITTED if path.name == HERE]
    if not committed:
        pytest.skip(f"no list for this Python is committed: {HERE}")
    assert device_sbom(constraints()) == committed[0].read_bytes(), "run 'make sbom'"


def test_the_table_of_licences_is_that_of_the_lists() -> None:
    held: dict[str, Any] = {
        path.name.removeprefix("python").removesuffix(".cdx.json"): json.loads(path.read_bytes()) for path in COMMITTED
    }
    table = (ROOT / "edge" / "sbom" / "licences.md").read_text(encoding="utf-8")
    assert table == licence_table(held), "run 'make sbom'"
    assert "x264" in table


def test_another_release_than_the_pinned_one_is_an_error() -> None:
    version = pinned(constraints())["numpy"]
    with pytest.raises(LookupError, match=r"numpy .* is installed, constraints.txt has 1\.0"):
        device_sbom(constraints().replace(f"numpy=={version}", "numpy==1.0"))


def test_what_packages_need_is_followed_to_the_end() -> None:
    found = packages_of("mmrphys-edge")
    assert found["rich"] == ["markdown-it-py", "pygments"]
    assert "mdurl" in found  # which only markdown-it-py asks for
    assert "torch" not in found  # which only an extra asks for


def test_a_package_of_unknown_licence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.sbom_device._BY_NAME", {})
    with pytest.raises(LookupError, match="scipy states no licence that is known"):
        licence_of("scipy")
