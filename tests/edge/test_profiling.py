from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest

from edge import profile_probe, profile_trtexec, profiling
from edge.bundle import default_bundle_dir, load_bundle
from edge.cli import main
from edge.errors import FaultError
from edge.profile_board import Board
from edge.profile_limits import devices
from edge.profile_page import html
from edge.profile_probe import Probe, best_s
from edge.profile_report import difference, lines, noise
from edge.profile_subject import Runner, random_frames, subject_from_bundle
from edge.profile_types import Plan, Report
from edge.profiling import Clocks, measure, pace_of

RESULTS = sorted((Path(__file__).resolve().parents[2] / "export/results").glob("profile-*.json"))
SHORT = ["--runs", "2", "--seconds", "1"]
TRTEXEC_LOG = """
[I] Latency: min = 0.51 ms, max = 0.9 ms, mean = 0.55 ms, median = 0.54 ms, percentile(90%) = 0.6 ms
[I] Enqueue Time: min = 0.01 ms, max = 0.2 ms, mean = 0.02 ms, median = 0.0151 ms, percentile(90%) = 0
[I] GPU Compute Time: min = 0.41 ms, max = 0.8 ms, mean = 0.45 ms, median = 0.44 ms
"""


@pytest.fixture(autouse=True)
def probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "probe", lambda: Probe(100.0, 10.0))


@pytest.fixture(scope="module")
def report() -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiling, "probe", lambda: Probe(100.0, 10.0))
        subject = subject_from_bundle(load_bundle(None), "exact", "auto")
        return profiling.profile(subject, Plan(3, 1.0, warm_up_runs=1, layer_runs=1), hop_s=1.0)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["profile", *words])
    out, err = capsys.readouterr()
    return code, out, err


class FakeClock:
    """Nanoseconds that pass only while something runs."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def takes(self, ms: float) -> Any:
        return lambda: setattr(self, "now", self.now + round(ms * 1e6))


def test_inputs_take_turns_and_the_warm_up_is_apart() -> None:
    clock, order = FakeClock(), []
    calls = {name: lambda name=name: (order.append(name), clock.takes(2.0)())[0] for name in ("self-test", "random")}
    first_ms, warm, timings = measure(calls, Plan(runs=5, seconds=10.0, warm_up_runs=3), Clocks(clock, clock))
    assert (first_ms, warm) == (2.0, 3)
    assert order == ["self-test"] + ["self-test", "random"] * 8
    assert [(one.input, one.runs, one.p50_ms, one.cpu_p50_ms) for one in timings] == [
        ("self-test", 5, 2.0, 2.0), ("random", 5, 2.0, 2.0),
    ]  # fmt: skip


@pytest.mark.parametrize(("runs", "p99_given"), [(999, False), (1000, True)])
def test_p99_needs_a_thousand_runs(runs: int, p99_given: bool) -> None:
    clock = FakeClock()
    _, _, (timing,) = measure({"random": clock.takes(1.0)}, Plan(runs=runs, warm_up_runs=1), Clocks(clock, clock))
    assert (timing.runs, timing.p99_ms is not None) == (runs, p99_given)


@pytest.mark.parametrize(
    ("ms", "plan", "runs", "full"),
    [
        (1.0, Plan(runs=2000, seconds=10.0), 2000, True),
        (20.0, Plan(runs=2000, seconds=10.0), 500, True),
        (1.0, Plan(runs=50, seconds=10.0), 50, False),
        (20.0, Plan(runs=2000, seconds=1.0), 50, False),
        (5000.0, Plan(runs=2000, seconds=1.0), 1, False),
    ],
)
def test_it_ends_by_runs_or_by_time_and_says_when_that_is_too_short(
    ms: float, plan: Plan, runs: int, full: bool
) -> None:
    clock = FakeClock()
    _, _, (timing,) = measure({"random": clock.takes(ms)}, plan, Clocks(clock, clock))
    assert (timing.runs, profiling.is_full(timing, plan)) == (runs, full)


def test_a_time_means_a_share_of_real_time_and_people(report: Report) -> None:
    timing = msgspec.structs.replace(report.timings[0], p50_ms=15.0, p90_ms=20.0, p99_ms=None)
    pace = pace_of(timing, report.graph, hop_s=1.0)
    assert (pace.window_s, pace.overlap, pace.new_frames) == (6.0, pytest.approx(5 / 6, abs=1e-4), 30.0)
    assert (pace.ms_per_new_frame, pace.budget_share, pace.people) == (0.5, 0.015, 50)
    assert pace_of(msgspec.structs.replace(timing, p99_ms=40.0), report.graph, 1.0).people == 25
    stream = msgspec.structs.replace(report.graph, mode="stream", frames=12)
    assert pace_of(timing, stream, hop_s=1.0).hop_s == 0.4


def test_a_report_is_whole(report: Report) -> None:
    assert [one.input for one in report.timings] == ["self-test", "random"]
    assert sum(layer.share for layer in report.layers) == pytest.approx(1.0, abs=0.01)
    assert report.limit.flops_unknown == []
    assert 1.2e9 < report.limit.flops < 1.6e9  # the network's layers, counted by hand, are 1.3 GFLOP
    assert report.limit.floor_ms == pytest.approx(report.limit.flops / 100e9 * 1e3)
    assert not report.full
    said = "\n".join(lines(report))
    assert "size 9 x 9, 4 channels, window 181 frames = 6 s at 30 fps, hop 1 s, overlap 83%" in said
    assert "p99 not given below 1000 runs" in said
    assert "SHORT: " in said
    assert "not measured: an engine of TensorRT: GPU Compute" in said
    assert "trtexec --onnx=window.fp32.onnx --shapes=frames:1x4x181x9x9 --stronglyTyped" in said
    assert said.endswith(" times from the limit")


def test_a_machine_is_called_a_jetson_only_where_the_board_says_so(report: Report) -> None:
    blank = Board("", "", "", [], {}, {})
    mute = msgspec.structs.replace(report, before=blank)
    assert "measured on a machine whose board has no name (not a Jetson)" in "\n".join(lines(mute))
    named = msgspec.structs.replace(report, before=msgspec.structs.replace(blank, model="NVIDIA Jetson AGX Orin"))
    assert "measured on NVIDIA Jetson AGX Orin: " in "\n".join(lines(named))


def test_another_devices_limit_gives_no_ratio() -> None:
    subject = subject_from_bundle(load_bundle(None), "exact", "auto")
    plan = Plan(1, 1.0, warm_up_runs=1, layer_runs=1)
    said = list(lines(profiling.profile(subject, plan, 1.0, "orin-nano-8gb")))
    assert "computed, not measured: at least 1." in said[-2]
    assert said[-1].startswith("no ratio: ")


def test_every_device_has_sources_and_says_what_was_not_looked_up() -> None:
    table = devices()
    assert {"orin-nano-8gb", "orin-nano-super", "agx-orin-64gb", "thor-t5000"} <= set(table)
    for device in table.values():
        assert device.sources
        assert all(source.startswith("http") for source in device.sources)
        assert device.int8_top_s == pytest.approx(2 * device.fp16_tflop_s, rel=0.01)
        assert all(hasattr(device, key) for key in device.unchecked)


def test_two_runs_differ_only_beyond_their_noise(report: Report) -> None:
    (steady, other) = report.timings
    steady = msgspec.structs.replace(steady, p50_ms=10.0, blocks_ms=[9.8, 10.0, 10.1])
    assert noise(steady) == pytest.approx(0.02)
    old = msgspec.structs.replace(report, timings=[steady, other])

    def against(p50_ms: float) -> str:
        blocks = [p50_ms * block / 10.0 for block in steady.blocks_ms]
        timing = msgspec.structs.replace(steady, p50_ms=p50_ms, blocks_ms=blocks)
        return next(iter(difference(msgspec.structs.replace(report, timings=[timing]), old)))

    assert against(10.2).endswith("+2.0%, noise band 2.8%: within the noise")
    assert against(10.4).endswith(": slower")
    assert against(9.0).endswith("-10.0%, noise band 2.8%: faster")
    elsewhere = msgspec.structs.replace(report, machine=msgspec.structs.replace(report.machine, cpu="another"))
    assert next(iter(difference(elsewhere, report))).startswith("not the same processor: another against ")


def test_the_command_writes_what_it_prints_and_compares(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    scene = "synthetic:?seconds=7.2&width=320&height=240"
    code, out, err = run(capsys, *SHORT, "--stages", "--rgb", scene, "--thermal", "none", "--out", str(tmp_path))
    assert (code, err) == (0, "")
    assert f"stages of a run on {scene}, 320 x 240 at 30 fps, 216 frames" in out
    assert (tmp_path / "profile.txt").read_text() == out
    page = (tmp_path / "profile.html").read_text()
    assert "<svg" in page
    assert "conv" in page
    assert "Stages of a run" in page
    code, out, err = run(capsys, *SHORT, "--json", "--against", str(tmp_path / "profile.json"))
    assert (code, err.count("noise band")) == (0, 2)
    jsonschema.validate(json.loads(out), msgspec.json.schema(Report))
    assert str(tmp_path) not in out


def test_an_onnx_file_by_itself_has_random_input_alone(capsys: pytest.CaptureFixture[str]) -> None:
    graph = str(default_bundle_dir() / "window.fp32.onnx")
    code, out, _ = run(capsys, graph, "--fps", "30", *SHORT, "--json")
    found = msgspec.json.decode(out, type=Report)
    assert (code, [one.input for one in found.timings], found.graph.bundle) == (0, ["random"], "")
    assert found.not_measured[-1].startswith("real input: ")
    assert found.trtexec.startswith("trtexec --onnx=window.fp32.onnx ")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("--rgb synthetic:", 2, "--rgb and --thermal belong to --stages"),
        ("{graph} --fps 30 --stages", 2, "--stages needs a bundle"),
        ("--limit orin-nan", 2, "there is no device 'orin-nan'; did you mean 'orin-nano-8gb'?"),
        ("--fps 30", 2, "--fps and --frames belong to MODEL.onnx"),
        ("--hop 0", 2, "--hop 0"),
        ("--against none.json", 3, "name a profile.json"),
        ("none.onnx", 4, "there is no such file"),
        ("none.onnx --fps 30", 4, "name a bundle's folder or an ONNX file"),
        ("{graph}", 2, "does not say its frame rate"),
        ("{graph} --fps 30 --frames 90", 2, "takes 181 frames, not 90"),
        ("{graph} --fps 30 --mode stream", 2, "needs a bundle"),
        ("{text} --fps 30", 4, "not an ONNX file"),
    ],
)
def test_refusals_are_one_line(
    words: str, code: int, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "text.onnx").write_text("no graph")
    graph = default_bundle_dir() / "window.fp32.onnx"
    ended, out, err = run(capsys, *words.format(graph=graph, text=tmp_path / "text.onnx").split())
    assert (ended, out, err.count("\n")) == (code, "", 1)
    assert message in err


def test_without_trtexec_one_line_says_so(report: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(profile_trtexec, "find_trtexec", lambda: None)
    (line,) = profile_trtexec.check_lines(report, tmp_path)
    assert line.startswith("trtexec: not installed here")


def test_a_trtexec_is_run_and_read(report: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "trtexec"
    program.write_text(f"#!/bin/sh\necho \"$@\" > asked\ncat <<'LOG'\n{TRTEXEC_LOG}LOG\n")
    program.chmod(0o755)
    monkeypatch.setattr(profile_trtexec, "find_trtexec", lambda: str(program))
    medians, ratio = profile_trtexec.check_lines(report, tmp_path)
    assert medians == "trtexec, medians in ms: Latency 0.54, Enqueue Time 0.0151, GPU Compute Time 0.44"
    assert ratio.startswith(f"ratio {report.timings[0].p50_ms / 0.44:.1f}: ")
    assert (tmp_path / "asked").read_text().startswith("--onnx=window.fp32.onnx ")


class Counter:
    """A session whose state counts its calls."""

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="frames", shape=[1]), SimpleNamespace(name="state", shape=[1, 2])]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="bvp"), SimpleNamespace(name="state_out")]

    def run(self, names: list[str], feed: dict[str, Any]) -> list[Any]:
        return [feed["frames"] + feed["state"].sum(), feed["state"] + 1]


def test_a_stream_goes_on_from_call_to_call_through_its_clip() -> None:
    runner = Runner(Counter(), "it.onnx", [{"frames": np.float32([10])}, {"frames": np.float32([20])}])
    assert [float(runner.step()[0][0]) for _ in range(3)] == [10.0, 22.0, 14.0]
    assert runner.io_bytes() == 4 + 8 + 4 + 8


def test_a_failing_call_is_one_line() -> None:
    with pytest.raises(FaultError, match=r"^it\.onnx: inference failed \('state'\)"):
        Runner(SimpleNamespace(get_inputs=list, get_outputs=list, run=Counter().run), "it.onnx", [{"frames": 1}]).step()


def test_noise_is_in_the_range_of_frames() -> None:
    frames = random_frames((1, 4, 5, 3, 3), colours=3)
    assert frames.dtype == "float32"
    assert 0.0 <= frames[:, :3].min() < 60.0
    assert 200.0 < frames[:, :3].max() <= 255.0
    assert 20.0 <= frames[:, 3].min() <= frames[:, 3].max() <= 40.0


def test_the_fastest_of_several_calls_counts() -> None:
    clock, times = FakeClock(), iter([9.0, 3.0, 2.0, 4.0])

    def call() -> None:
        clock.takes(next(times))()

    assert best_s(call, 3, clock) == pytest.approx(2e-3)


def test_the_probe_runs_in_a_process_of_its_own() -> None:
    found = profile_probe.probe(1)
    assert min(found.gflop_s, found.gb_s) > 0.0


def test_a_page_escapes_what_it_shows(report: Report) -> None:
    evil = msgspec.structs.replace(report, graph=msgspec.structs.replace(report.graph, bundle="<script>"))
    assert "<script>" not in html(evil)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_committed_profile_is_whole(path: Path) -> None:
    found = msgspec.json.decode(path.read_bytes(), type=Report)
    assert found.full
    assert found.machine.cpu not in ("", "unknown")
    assert "jetson" not in path.stem or found.before.is_jetson
    assert found.limit.flops > 0
    assert found.not_measured
