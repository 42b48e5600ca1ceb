"""What SECURITY.md promises about the code as a whole, and that each of its rows names a test that is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
UNPICKLE = {
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "torch",
    "yaml",
    "code",
    "codeop",
}
"""Modules that make objects or code from bytes."""
ON_A_DEVICE = sorted((ROOT / "edge").rglob("*.py"))

WATCHED = """
import os, sys
from edge.cli import main

def watch(event, arguments):
    if event in ("pickle.find_class", "socket.bind", "socket.listen", "marshal.loads", "os.system"):
        if event != "marshal.loads" or "importlib" not in sys._getframe(1).f_code.co_filename:
            sys.stderr.write(f"WATCHED {event} {arguments!r}\\n")

sys.addaudithook(watch)
if sys.argv[1] == "prove":
    import pickle, socket
    pickle.loads(b"cos\\ngetpid\\n.")
    socket.socket().bind(("127.0.0.1", 0))
sys.exit(main(sys.argv[2:]))
"""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the name of what is called, without what it is called on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


def imports(tree: ast.AST) -> set[str]:
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return found | {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}


@pytest.mark.parametrize("path", ON_A_DEVICE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_of_the_device_makes_objects_or_code_from_bytes(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not UNPICKLE & {name.partition(".")[0] for name in imports(tree)}
    for name, call in calls(tree):
        options = {option.arg: option.value for option in call.keywords}
        if isinstance(call.func, ast.Name):
            assert name not in {"eval", "exec", "compile", "__import__"}, ast.unparse(call)
        if name in {"load", "read_array"} and ast.unparse(call).startswith(("np.", "numpy.")):
            assert ast.unparse(options.get("allow_pickle", ast.Name("nothing"))) == "False", ast.unparse(call)
        assert ast.unparse(options.get("allow_pickle", ast.Constant(value=False))) == "False", ast.unparse(call)
        assert ast.unparse(options.get("shell", ast.Constant(value=False))) == "False", ast.unparse(call)
    if "multiprocessing.connection" in imports(tree):  # whose send and recv pickle; send_bytes and recv_bytes do not
        methods = {name for name, call in calls(tree) if isinstance(call.func, ast.Attribute)}
        assert not {"send", "recv"} & methods


def test_the_linter_keeps_its_rules_against_unpickling() -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert rules["select"] == ["ALL"]
    assert [rule for rule in rules["ignore"] if rule.startswith("S")] == ["S101", "S311"]
    waived = [place for place, ignored in rules["per-file-ignores"].items() if "S" in ignored or "ALL" in ignored]
    assert waived == ["tests/**"]
    assert not [path for path in ON_A_DEVICE if re.search(r"noqa:.*\bS30\d", path.read_text(encoding="utf-8"))]


def watched(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WATCHED, *words], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )


def test_a_whole_run_unpickles_nothing_and_opens_no_port(tmp_path: Path) -> None:
    """As the interpreter itself tells, in all that runs: libraries too."""
    scene = "synthetic:?seconds=2&width=320&height=240"
    out = tmp_path / "records"
    done = watched("run", "run", "--rgb", scene, "--speed", "max", "--sink", f"jsonl:{out}")
    assert (done.returncode, out.read_text().count('"kind":"meta"')) == (0, 1)
    assert "WATCHED" not in done.stderr
    seen = watched("prove", "schema").stderr
    assert "WATCHED pickle.find_class ('os', 'getpid')" in seen
    assert "WATCHED socket.bind" in seen


def rows() -> list[str]:
    """The rows of the threat table."""
    table = SECURITY.partition("## Threats")[2].partition("\n## ")[0]
    return [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| |")][1:]


def test_every_threat_names_a_test() -> None:
    assert len(rows()) >= 15
    assert {row.split("|")[1].strip() for row in rows()} == set("STRIDE")
    assert [row for row in rows() if "::" not in row] == []


def test_every_test_that_is_named_is_there() -> None:
    named = re.findall(r"`(tests/[\w./-]+\.py)::(\w+)`", SECURITY)
    assert len(named) >= 15
    assert SECURITY.count("::") == len(named)
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    assert missing == []
