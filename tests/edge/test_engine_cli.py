from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import tensorrt_module
from fakes.engine_devices import Graphs

from edge import engine_build, engine_cli, engines
from edge.cli import main
from edge.engines import Machine


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(engines, "open_driver", Graphs)
    return tmp_path


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(engine_build, "find_tensorrt", lambda: tensorrt_module)
    yield tensorrt_module
    tensorrt_module.trouble.clear()


@pytest.fixture
def no_trt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_build, "MODULES", ("no_such_module",))


def run(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    code = main(["engine", *line.split()])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("line", ["build", "verify"])
def test_without_tensorrt_it_is_one_line_and_exit_2(
    no_trt: None, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    code, out, err = run(capsys, line)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("mmrphys: TensorRT is not installed; on a Jetson: apt-get install tensorrt")


def test_an_engine_is_built_listed_verified_and_removed(
    trt: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(capsys, "list")[1].startswith("no engines in ")
    code, out, _ = run(capsys, "build")
    assert (code, out.split(",")[0]) == (0, "window.fp32: built (the first of this graph)")
    (again,) = json.loads(run(capsys, "build --json")[1])
    assert (again["why"].partition(",")[0], again["runs_here"]) == ("from the cache", True)
    (listed,) = json.loads(run(capsys, "list --json")[1])
    assert (listed["graph"], listed["refused"]) == ("window.fp32", None)
    assert listed["fingerprint"]["machine"]["tensorrt"] == "tensorrt 10.3.0"
    assert run(capsys, "verify")[1].rstrip().endswith("ok")
    (verified,) = json.loads(run(capsys, "verify --json")[1])
    assert (verified["engine"], verified["refused"]) == (listed["engine"], None)
    monkeypatch.setattr(engines, "machine_of", lambda _trt: Machine("tensorrt 10.16.2", "8.7", "none"))
    code, out, err = run(capsys, "verify --json")
    assert (code, json.loads(out)[0]["refused"][:15]) == (4, "built elsewhere")
    code, out, err = run(capsys, "verify")
    assert code == 4
    assert "built elsewhere: TensorRT tensorrt 10.3.0 (here tensorrt 10.16.2)" in out
    assert err.startswith("mmrphys: 1 of 1 engines are refused; 'mmrphys engine clean' removes them")
    assert run(capsys, "clean")[1].startswith("removed ")
    assert run(capsys, "list")[1].startswith("no engines in ")


def test_what_is_built_without_a_gpu_is_told_to_run_nowhere(
    trt: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "open_driver", lambda: None)
    code, out, _ = run(capsys, "build")
    assert (code, out.splitlines()[-1][:22]) == (0, "none of it runs here: ")
    assert [one["runs_here"] for one in json.loads(run(capsys, "build --json")[1])] == [False]
    assert "sound, but built without a GPU: it runs nowhere" in run(capsys, "list")[1]


def test_only_what_run_takes_is_built_unless_asked(trt: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert [one["graph"] for one in json.loads(run(capsys, "build --json")[1])] == ["window.fp32"]
    asked = json.loads(run(capsys, "build --json --mode exact --mode stream")[1])
    assert [one["graph"] for one in asked] == ["window.fp32", "stream.fp32"]


def test_engines_can_be_listed_and_removed_without_tensorrt(
    trt: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, "build")
    monkeypatch.undo()
    monkeypatch.setattr(engine_build, "MODULES", ("no_such_module",))
    assert run(capsys, "list")[0] == 0
    assert run(capsys, "clean --all")[0] == 0


def test_measurements_are_carried_in_a_file(trt: Any, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run(capsys, f"build --save-timing-cache {home / 'kit.timing'}")[0] == 0
    assert (home / "kit.timing").read_bytes() == b"+"
    again = f"build --anew --timing-cache {home / 'kit.timing'} --save-timing-cache {home / 'next.timing'}"
    assert run(capsys, again)[0] == 0
    assert (home / "next.timing").read_bytes() == b"++"


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("", 2, "Missing command"),
        ("bild", 2, "No such command 'bild'"),
        ("build --batch 0", 2, "want 1 <= least"),
        ("build --batch 1:2", 2, "want one number, or least:usual:most"),
        ("build --timing-cache /nowhere/kit.timing", 2, "--timing-cache /nowhere/kit.timing: No such file"),
        ("build --precision int8 /nowhere", 4, "/nowhere: No such file or directory"),
        ("build --precision fp12", 4, "has no fp12/exact graph for TensorRT; it has fp16/exact, "),
        ("build --mode stream --precision int4", 4, "has no int4/stream graph for TensorRT; it has "),
        ("build --mode hourly", 2, "--mode 'hourly': want one of exact, stream"),
    ],
)
def test_a_wrong_line_is_one_line(
    trt: Any, capsys: pytest.CaptureFixture[str], line: str, code: int, says: str
) -> None:
    seen, out, err = run(capsys, line)
    assert (seen, out, err.count("\n")) == (code, "", 1)
    assert says in err


def test_a_signal_stops_the_build_and_leaves_nothing(
    trt: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    class Stopped:
        def __enter__(self) -> threading.Event:
            event = threading.Event()
            event.set()
            return event

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(engine_cli, "stop_on_signal", Stopped)
    assert run(capsys, "build")[0] == 130
    assert list(home.rglob("*.engine")) == []
    assert list(home.rglob("*.tmp")) == []
