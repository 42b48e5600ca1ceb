from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from edge.cli import PANELS, main
from edge.config import Kit, kit_from_toml
from edge.sinks.records import json_schema

BUILT = {entry.name for entry in metadata.entry_points(group="mmrphys.commands")}
RESERVED = sorted(name for names in PANELS.values() for name in names if name not in BUILT)

CONTRIBUTED = '''
"""Commands of another package."""
from edge.errors import EvidenceError

def boom() -> None:
    """Break."""
    raise RuntimeError("two\\nlines")

def weak() -> None:
    """Find nothing."""
    raise EvidenceError("no pulse found")

def stop() -> None:
    """Be interrupted."""
    raise KeyboardInterrupt

def learn() -> None:
    """Need torch."""
    import torch

def code() -> int:
    """End with a code."""
    return 3
'''
NO_TORCH = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


SIGNAL_WHILE_LOADING = """
import os, signal, sys

class Killer:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Killer())
"""

SIGNAL_WHILE_READING = """
import os, sys

def kill(event, details):
    if event == "open" and str(details[0]).endswith("kit.toml"):
        os.kill(os.getpid(), {number})

sys.addaudithook(kill)
"""


def mmrphys(*words: str, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    places = [str(path)] if path else []
    extra = {"COLUMNS": "100", "TERM": "dumb", "PYTHONPATH": os.pathsep.join(places), **environment}
    command = [sys.executable, "-m", "edge", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | extra, check=False)


@pytest.fixture
def contributed(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with a distribution that adds commands, and without torch."""
    (tmp_path / "contributed_commands.py").write_text(CONTRIBUTED)
    (tmp_path / "sitecustomize.py").write_text(NO_TORCH)
    info = tmp_path / "contributed-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: contributed\nVersion: 1.0\n")
    rows = [f"{name} = contributed_commands:{name}" for name in ("boom", "weak", "stop", "learn", "code")]
    (info / "entry_points.txt").write_text("\n".join(["[mmrphys.commands]", *rows]))
    return tmp_path


def test_version() -> None:
    done = mmrphys("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mmrphys {metadata.version('mmrphys-edge')}\n", "")


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_groups_what_is_built(words: tuple[str, ...]) -> None:
    done = mmrphys(*words)
    assert (done.returncode, done.stderr) == (0, "")
    commands = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("│ ", "| "))]
    assert set(BUILT) <= set(commands)
    assert not set(RESERVED) & set(commands)
    panels = [name for name in PANELS if f"─ {name} ─" in done.stdout]
    assert panels == [name for name, names in PANELS.items() if set(names) & BUILT]
    assert "6 evidence too weak" in done.stdout


@pytest.mark.parametrize("command", RESERVED)
def test_a_reserved_command_says_that_it_is_planned(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--any", "thing"]) == 2
    assert f"{command} is planned and not built yet in this version" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("rnu", "there is no command 'rnu'; did you mean 'run'?"),
        ("--verison", "did you mean '--version'?"),
        ("-v", "Missing command"),
        ("run", "--rgb is missing"),
        ("run --rbg synthetic:", "run has no option '--rbg'; did you mean '--rgb'?"),
        ("run --thermal synthetic:", "--thermal is given without --rgb"),
        ("run --rgb", "requires an argument"),
        ("run --rgb synthetic: over", "unexpected extra argument"),
        ("run --rgb synthetic: --mode strem", "is not one of 'exact', 'stream'"),
        ("run --rgb synthetic: --hop 0", "--hop = 0.0"),
        ("run --rgb synthetic: --hop soon", "--hop"),
        ("run --rgb synthetic: --seconds -1", "--seconds = -1.0"),
        ("run --rgb synthetic: --zone a/b", "--zone = 'a/b': want letters, digits"),
        ("run --config /nowhere/kit.toml", "/nowhere/kit.toml cannot be read"),
        ("run --rgb synthetic: --json --sink console:", "would both write to standard output"),
        ("run --rgb synthetic: --sink console: --sink jsonl:-", "would both write to standard output"),
    ],
)
def test_a_wrong_line_is_one_line_and_exit_2(line: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mmrphys: ")
    assert err.count("\n") == 1
    assert says in err


def test_a_wrong_key_in_the_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "kit.toml"
    path.write_text('rgb = "synthetic:"\nsink = ["console:"]\n')
    done = mmrphys("run", "--config", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"mmrphys: {path}:2: sink is no known key; did you mean 'sinks'?\n"


def test_the_printed_configuration_is_the_run_that_was_asked_for(tmp_path: Path) -> None:
    kit = tmp_path / "kit.toml"
    kit.write_text('rgb = "synthetic:?hr=60"\nhop_s = 2\nzone = "bed-3"\n')
    words = [
        "--config",
        str(kit),
        "--hop",
        "0.5",
        "--sink",
        "jsonl:-",
        "--sink",
        "mqtt://localhost/ward",
        "--print-config",
    ]
    done = mmrphys("run", *words)
    assert (done.returncode, done.stderr) == (0, "")
    kit.write_text(done.stdout)
    expected = Kit(rgb="synthetic:?hr=60", hop_s=0.5, zone="bed-3", sinks=("jsonl:-", "mqtt://localhost/ward"))
    assert kit_from_toml(kit) == expected


@pytest.mark.parametrize("words", [["schema"], ["schema", "--json"]])
def test_schema_prints_the_schema(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()


@pytest.mark.parametrize(
    ("words", "sinks", "as_json", "check"),
    [
        ([], ("console:",), False, False),
        (["--json"], (), True, False),
        (["--json", "--sink", "jsonl:a.jsonl"], ("jsonl:a.jsonl",), True, False),
        (["--check"], ("console:",), False, True),
    ],
)
def test_run_hands_one_checked_kit_over_and_returns_its_code(
    monkeypatch: pytest.MonkeyPatch, words: list[str], sinks: tuple[str, ...], as_json: bool, check: bool
) -> None:
    seen: list[object] = []
    stops: list[threading.Event] = []

    def run_kit(kit: Kit, *, stop: threading.Event, **flags: bool) -> int:
        seen.append((kit, flags))
        stops.append(stop)
        return 3

    app = ModuleType("edge.app")
    app.run_kit = run_kit  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "edge.app", app)
    assert main(["run", "--rgb", "synthetic:", "--zone", "bed-3", *words]) == 3
    flags = {"check": check, "as_json": as_json, "recording": None}
    assert seen == [(Kit(rgb="synthetic:", zone="bed-3", sinks=sinks), flags)]
    assert not stops[0].is_set()


def test_commands_of_other_packages_are_found(contributed: Path) -> None:
    listed = mmrphys("--help", path=contributed).stdout
    assert "End with a code." in listed
    assert mmrphys("code", path=contributed).returncode == 3


def test_an_expected_error_is_one_line_with_its_code(contributed: Path) -> None:
    done = mmrphys("weak", path=contributed)
    assert (done.returncode, done.stdout, done.stderr) == (6, "", "mmrphys: no pulse found\n")


def test_a_missing_extra_is_one_line_and_exit_2(contributed: Path) -> None:
    done = mmrphys("learn", path=contributed)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "mmrphys: learn needs torch, which is not installed; install it with: pip install 'mmrp"
    )
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "environment", "traced"),
    [(["boom"], {}, False), (["boom", "--debug"], {}, True), (["boom"], {"MMRPHYS_DEBUG": "1"}, True)],
)
def test_an_unexpected_error_is_one_line_and_a_traceback_only_on_demand(
    contributed: Path, words: list[str], environment: dict[str, str], traced: bool
) -> None:
    done = mmrphys(*words, path=contributed, **environment)
    assert done.returncode == 5
    last = "mmrphys: internal error: RuntimeError: two lines; run with --debug for the traceback"
    assert done.stderr.splitlines()[-1] == last
    assert ("Traceback" in done.stderr) == traced == (done.stderr.count("\n") > 1)


def test_an_interrupt_ends_without_a_word(contributed: Path) -> None:
    done = mmrphys("stop", path=contributed)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "edge", "schema"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("sink", ["console:", "jsonl:-"])
def test_a_run_ends_in_order_when_the_reader_of_its_records_has_seen_enough(sink: str) -> None:
    command = [sys.executable, "-m", "edge", "run", "--rgb", "synthetic:?seconds=600", "--thermal", "none"]
    with subprocess.Popen([*command, "--sink", sink], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        try:
            code = process.wait(60)
        finally:
            process.kill()
        said = process.stderr.read().decode()
    assert code == 0
    assert "Traceback" not in said
    assert "mmrphys:" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["typer", "edge.app", "edge.runtimes.onnxrt"])
def test_a_signal_while_a_run_still_starts_ends_it_quietly(tmp_path: Path, module: str, number: signal.Signals) -> None:
    (tmp_path / "sitecustomize.py").write_text(SIGNAL_WHILE_LOADING.format(module=module, number=int(number)))
    out = tmp_path / "out.jsonl"
    done = mmrphys("run", "--rgb", "synthetic:?seconds=600", "--sink", f"jsonl:{out}", path=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "Traceback" not in done.stderr
    assert "mmrphys:" not in done.stderr
    kinds = [json.loads(line)["kind"] for line in out.read_text().splitlines()] if out.exists() else []
    assert kinds == ([] if module == "typer" else ["meta", "status", "status"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_run_still_reads_its_command_line_ends_it_quietly(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SIGNAL_WHILE_READING.format(number=int(number)))
    kit = tmp_path / "kit.toml"
    kit.write_text('rgb = "synthetic:?seconds=600"\n')
    done = mmrphys("run", "--config", str(kit), path=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
