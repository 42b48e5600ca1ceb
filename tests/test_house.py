"""What is promised about the repository itself: its pins, its package data, its bundle, its tests."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("edge", "export", "training", "calibration")


def _lines(pattern: str, path: Path) -> list[str]:
    return re.findall(pattern, path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def _requirements() -> list[Requirement]:
    """Every package that pyproject.toml asks for, but for itself and for what only a Jetson has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for name, lines in project["optional-dependencies"].items() if name != "tensorrt" for line in lines]
    found = [Requirement(line) for line in (*project["dependencies"], *extras)]
    return [requirement for requirement in found if requirement.name != project["name"]]


def _applying(lines: Iterable[Requirement], python: str) -> list[Requirement]:
    target = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux", "extra": ""}
    return [line for line in lines if line.marker is None or line.marker.evaluate(target)]


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_every_requirement_is_pinned_once_within_its_bounds(python: str) -> None:
    pins = _applying(map(Requirement, _lines(r"^[^#\n].*$", ROOT / "constraints.txt")), python)
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    assert len(versions) == len(pins)
    for requirement in _applying(_requirements(), python):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_every_dependency_has_its_reason() -> None:
    rows = _lines(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \| [^|]+ \|$", ROOT / "CONTRIBUTING.md")
    named = {canonicalize_name(name) for row in rows for name in re.findall(r"[\w.-]+", row)}
    assert {canonicalize_name(requirement.name) for requirement in _requirements()} - named == set()


def test_the_wheel_carries_every_file_of_the_packages(tmp_path: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling comes with the dev extra")
    path = next(iter(wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])))
    here = {str(f.relative_to(ROOT)) for package in PACKAGES for f in (ROOT / package).rglob("*") if f.is_file()}
    wanted = {name for name in here if "__pycache__" not in name and "/results/" not in name}
    assert {f"{package}/py.typed" for package in PACKAGES} <= wanted
    assert wanted <= set(zipfile.ZipFile(path).namelist())


def test_the_default_bundle_is_made_from_the_committed_checkpoint() -> None:
    card = json.loads((ROOT / "training/results/default/default.json").read_bytes())
    manifest = json.loads((ROOT / "edge/bundles/default/manifest.json").read_bytes())
    assert manifest["card"] == card
    data = (ROOT / "training/results/default/default.safetensors").read_bytes()
    assert hashlib.sha256(data).hexdigest() == card["weights_sha256"]


def test_a_thread_that_dies_fails_the_tests(tmp_path: Path) -> None:
    """Whatever starts one: the filters of ``pyproject.toml`` make its error that of the test."""
    dying = "one = threading.Thread(target=lambda: 1 / 0)\n    one.start()\n    one.join()\n"
    (tmp_path / "test_dying.py").write_text(f"import threading\n\ndef test_it():\n    {dying}")
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "-n", "0"]
    ended = subprocess.run([sys.executable, *words, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stdout
    assert "ZeroDivisionError" in ended.stdout
