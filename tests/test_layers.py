"""The import arrows: edge <- calibration, edge <- training <- export; and a device needs no torch."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "edge": {"edge"},
    "calibration": {"calibration", "edge"},
    "training": {"training", "edge"},
    "export": {"export", "training", "calibration", "edge"},
}
NOT_ON_A_DEVICE = {"torch", "lightning", "safetensors", "matplotlib", "onnx", "onnxscript", "h5py", "dask"}
COMMANDS = sorted(entry.name for entry in metadata.entry_points(group="mmrphys.commands"))

WITHOUT_THEM = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
"""
IMPORT_ALL_OF_EDGE = """
import importlib, pkgutil, edge
names = [module.name for module in pkgutil.walk_packages(edge.__path__, "edge.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """The top-level packages a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield path.relative_to(ROOT).parts[0] if node.level else str(node.module).partition(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_follow_the_arrows(package: str) -> None:
    assert sources(package)
    forbidden = MAY_IMPORT.keys() - MAY_IMPORT[package]
    against = {
        str(path.relative_to(ROOT)): found for path in sources(package) if (found := forbidden & {*imported(path)})
    }
    assert not against


def test_edge_names_nothing_that_a_device_lacks() -> None:
    heavy = {
        str(path.relative_to(ROOT)): found for path in sources("edge") if (found := NOT_ON_A_DEVICE & {*imported(path)})
    }
    assert not heavy


def test_the_device_install_asks_for_nothing_heavy() -> None:
    required = [text for text in metadata.requires("mmrphys-edge") or [] if "extra ==" not in text]
    assert len(required) >= 8
    assert not [text for text in required if any(text.startswith(name) for name in NOT_ON_A_DEVICE - {"onnx"})]
    assert not [text for text in required if text.startswith("onnx") and not text.startswith("onnxruntime")]


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the packages that a device lacks cannot be imported."""
    folder = tmp_path_factory.mktemp("device")
    (folder / "sitecustomize.py").write_text(WITHOUT_THEM.format(blocked=NOT_ON_A_DEVICE))
    return os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "100", "TERM": "dumb"}


def run(device: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=120, env=device, cwd=ROOT, check=False
    )


def test_the_device_really_lacks_them(device: dict[str, str]) -> None:
    assert "ModuleNotFoundError: No module named 'torch'" in run(device, "-c", "import torch").stderr


def test_every_module_of_edge_imports_without_torch(device: dict[str, str]) -> None:
    done = run(device, "-c", IMPORT_ALL_OF_EDGE)
    assert done.stderr == ""
    assert int(done.stdout) >= 20


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_without_torch(device: dict[str, str], command: str) -> None:
    done = run(device, "-m", "edge", command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: mmrphys {command}" in done.stdout


def test_help_without_torch_lists_every_command(device: dict[str, str]) -> None:
    done = run(device, "-m", "edge", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert [name for name in COMMANDS if f" {name} " not in done.stdout] == []


def test_training_without_torch_names_the_extra(device: dict[str, str]) -> None:
    done = run(device, "-m", "edge", "train", "--preset", "quick")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'mmrphys-edge[train]'" in done.stderr


@pytest.mark.parametrize("first", ["edge.runtimes.onnxrt", "training.yardstick.networks", "export.compare"])
def test_onnx_runtime_keeps_no_device_id_and_sends_nothing(tmp_path: Path, first: str) -> None:
    """Its telemetry begins with a file in the cache folder, when it is imported."""
    if not first.startswith("edge"):
        pytest.importorskip("torch", reason="torch comes with the train extra")
    environment = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", f"import {first}"], cwd=ROOT, env=environment, check=True, timeout=120)
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in str(path)] == []
