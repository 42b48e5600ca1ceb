from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edge.cli import main
from edge.config import Kit
from edge.recording import RecordingPlan


def test_record_takes_the_options_of_run_and_hands_over_what_to_record(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def run_kit(kit: Kit, *, check: bool, as_json: bool, stop: object, recording: RecordingPlan) -> int:
        seen.append((kit, check, as_json, recording))
        return 0

    app = ModuleType("edge.app")
    app.run_kit = run_kit  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "edge.app", app)
    words = ["--rgb", "synthetic:", "--sink", "jsonl:a", "--hop", "0.5", "--zone", "bed-3", "--json", "--seconds", "9"]
    extra = ["--full-frames", "--quota", "1.5GB", "--consent", "form 7"]
    assert main(["record", "--out", "a.mcap", *words, *extra]) == 0
    kit = Kit(rgb="synthetic:", sinks=("jsonl:a",), hop_s=0.5, zone="bed-3", seconds=9.0)
    plan = RecordingPlan(Path("a.mcap"), full_frames=True, quota=1_500_000_000, consent="form 7")
    assert seen == [(kit, False, True, plan)]


def test_wrong_uses_end_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--rgb", "synthetic:"]) == 2
    assert "--out" in capsys.readouterr().err
    assert main(["record", "--out", "a.mcap"]) == 2
    assert "--rgb is missing" in capsys.readouterr().err
    assert main(["replay"]) == 2
    assert main(["replay", "a.mcap", "--json", "--sink", "console:"]) == 2
    assert main(["replay", str(tmp_path / "none.mcap")]) == 3
    assert "cannot be read: No such file or directory" in capsys.readouterr().err
    assert main(["recover", str(tmp_path / "none.mcap")]) == 2
