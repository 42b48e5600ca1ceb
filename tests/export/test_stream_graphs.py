from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from fakes.zoo import clips_for, model_of

from edge.bundle import Bundle, load_bundle
from edge.cli import main
from edge.errors import BundleError, FaultError, InputError
from edge.runtimes.onnxrt_stream import open_stream
from edge.selftest import STREAM_SELFTEST, SelfTest
from edge.stream_graph import StreamRunner
from export import stream_graphs
from export.agreement import Gate, Hop
from export.golden import npz_from_golden
from export.pack import write_bundle
from export.stream_agreement import agreement_of
from export.stream_graphs import streams_from_model
from training.model import ModelSpec

DEFAULT = Path(__file__).resolve().parents[2] / "training" / "results" / "default"


@pytest.fixture
def bundle(bundle_folder: Path) -> Bundle:
    return load_bundle(bundle_folder)


def test_the_default_model_streams_within_a_hundred_thousandth_and_agrees_with_windows(bundle: Bundle) -> None:
    card = bundle.manifest.stream
    assert card is not None
    assert (card.lags, card.chunk, card.memory) == ({"bvp": 20, "rsp": 21}, (4, 12), 600.0)
    assert card.look_ahead_s == {"bvp": 0.633, "rsp": 0.667}
    assert {one.task: one.pearson_median > 0.95 for one in card.agreement} == {"bvp": True, "rsp": True}
    assert {(entry.file, entry.mode) for entry in bundle.manifest.graphs} >= {
        ("stream.fp32.onnx", "stream"),
        ("stream.cpu-fp32.onnx", "stream"),
    }


def test_a_stream_opens_after_its_self_test(bundle: Bundle) -> None:
    session, graph = open_stream(bundle)
    runner = StreamRunner(session)
    assert graph.why == "stream fp32 (the default precision), made for onnxrt"
    assert session.name == "onnxrt stream.cpu-fp32 CPU"
    assert not runner.state.any()
    waves = runner.step(np.zeros((1, 4, 12, 9, 9), np.float32))
    assert {task: wave.shape for task, wave in waves.items()} == {"bvp": (12,), "rsp": (12,)}


def with_file(bundle: Bundle, name: str, data: bytes | None, out: Path) -> Bundle:
    """``bundle`` with another content of one file, or without it, and a manifest that fits."""
    manifest = bundle.manifest
    files = {held: bundle.files[held] for held in manifest.files if held != name}
    files |= {name: data} if data is not None else {}
    about = {
        field: getattr(manifest, field) for field in ("name", "fps", "frames", "size", "channels", "tasks", "sources")
    }
    return write_bundle(about | {"card": manifest.card, "stream": manifest.stream}, list(manifest.graphs), files, out)


def test_a_runtime_that_gives_other_samples_is_a_fault(bundle: Bundle, tmp_path: Path) -> None:
    wave = np.sin(np.arange(180, dtype=np.float32))[None]
    other = with_file(
        bundle, STREAM_SELFTEST, npz_from_golden(SelfTest({}, {"bvp": wave, "rsp": wave})), tmp_path / "b"
    )
    with pytest.raises(FaultError, match="self-test failed"):
        open_stream(other)


@pytest.mark.parametrize(
    "data", [None, b"no archive", npz_from_golden(SelfTest({}, {"bvp": np.zeros((1, 9), np.float32)}))]
)
def test_a_self_test_that_is_none_is_refused(bundle: Bundle, tmp_path: Path, data: bytes | None) -> None:
    with pytest.raises(BundleError, match=r"selftest\.stream\.npz: not a self-test"):
        open_stream(with_file(bundle, STREAM_SELFTEST, data, tmp_path / "b"))


def test_a_bundle_without_stream_graphs_says_what_it_has(bundle: Bundle) -> None:
    windows = tuple(entry for entry in bundle.manifest.graphs if entry.mode == "exact")
    without = dataclasses.replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, graphs=windows))
    with pytest.raises(BundleError, match=r"no stream/fp32 graph; it has exact/fp32"):
        open_stream(without)


@pytest.mark.slow
def test_a_stream_past_its_gate_is_refused_or_kept_as_refused(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["export", str(DEFAULT / "default.safetensors"), "--out", str(tmp_path / "b"), "--clips", str(clips)]
    words += ["--mode", "window", "--mode", "stream", "--json"]
    monkeypatch.setattr(stream_graphs, "STREAM_GATE", Gate(0.5, 0.0, 0.0))
    assert main(words) == 3
    said = capfd.readouterr().err
    assert "stream.fp32.onnx is not usable: against the windows HR shifts by 0." in said
    assert "leave --mode stream out, or keep it marked as refused with --force" in said
    assert not (tmp_path / "b").exists()
    assert main([*words, "--force"]) == 0
    report = json.loads(capfd.readouterr().out)
    streams = [one for one in report["differences"] if one["what"].startswith("stream")]
    assert len(streams) == 4
    assert all(one["value"] <= one["limit"] == 1e-5 for one in streams)
    held = load_bundle(tmp_path / "b")
    assert [bool(entry.refused) for entry in held.manifest.graphs] == [False, False, True, True]
    with pytest.raises(BundleError, match="not usable: against the windows"):
        open_stream(held)
    assert "forced" in held.graph("stream", "onnxrt", "force-fp32").why


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_other_precisions_open_after_their_self_test(bundle: Bundle, precision: str) -> None:
    session, _ = open_stream(bundle, precision)
    assert session.name == f"onnxrt stream.{'cpu-int8' if precision == 'int8' else 'fp16'} CPU"
    assert session.tasks == ("bvp", "rsp")


def test_a_stream_of_another_precision_is_held_to_the_fp32_one(bundle: Bundle) -> None:
    for entry in bundle.manifest.graphs:
        if entry.mode == "stream":
            against = ["windows"] * 2 + ["fp32 stream"] * 2 * (entry.precision != "fp32")
            assert [one.against for one in entry.measured] == against
            assert all(one.pearson_least > 0.99 for one in entry.measured if one.against == "fp32 stream")


def test_rates_are_compared_where_windows_show_one() -> None:
    clear, vague = (
        Hop(0, t_s, "bvp", 0.0, r, 60.0, shift, 0.0, judged=judged)
        for t_s, r, shift, judged in ((16.0, 0.9, 1.0, True), (17.0, 0.5, 39.0, False))
    )
    (found,) = agreement_of([clear, vague], ("bvp",))
    assert msgspec.structs.astuple(found) == ("bvp", 0.7, 0.5, 1.0, 1.0)


def test_a_clip_shorter_than_a_chunk_is_no_self_test() -> None:

    spec = ModelSpec(9, "EF", 3, ("bvp",))
    clip = clips_for(spec, 10)[:1]
    with pytest.raises(InputError, match="at least 12"):
        streams_from_model(model_of(spec), 10, 30.0, SelfTest({"rgb": clip}, {}), ())
