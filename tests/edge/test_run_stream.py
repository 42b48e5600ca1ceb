"""The command ``mmrphys run --mode stream`` from end to end, with the default bundle's own stream graph."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from edge.bundle import MANIFEST, MANIFEST_HASH, Manifest, default_bundle_dir, load_bundle, manifest_hash_line
from edge.cli import main
from edge.runtimes.onnxrt_stream import open_stream
from edge.sinks.records import comparable, json_schema
from edge.stream_graph import StreamRunner

pytestmark = pytest.mark.scenes

SMALL = "width=480&height=360"


def run(out: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    code = main(["run", *words, "--mode", "stream", "--sink", f"jsonl:{out}", "--speed", "max"])
    return code, [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def of_kind(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["kind"] == kind]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    uri = f"synthetic:?hr=72&rr=15&seconds=31&seed=1&{SMALL}"
    code, records = run(tmp_path_factory.mktemp("stream") / "out.jsonl", "--rgb", uri)
    assert code == 0
    return records


@pytest.mark.scenes
def test_a_scene_is_measured_by_windows_first_and_then_by_the_stream(scene: list[dict[str, Any]]) -> None:
    looks = {round(record["pts_ns"] / 1e9): record for record in of_kind(scene, "numerics")}
    assert looks[9]["hr"]["state"] == "ok"
    assert (looks[20]["mode"], looks[30]["mode"]) == ("exact", "stream")
    assert (looks[30]["hr"]["state"], looks[30]["rr"]["state"]) == ("ok", "ok")
    assert looks[30]["hr"]["value"] == pytest.approx(72, abs=4)
    assert looks[30]["rr"]["value"] == pytest.approx(15, abs=2)


@pytest.mark.scenes
def test_every_record_keeps_the_contract(scene: list[dict[str, Any]]) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    for record in scene:
        validator.validate(record)
    assert [record["seq"] for record in scene] == list(range(len(scene)))


@pytest.mark.scenes
def test_meta_names_the_stream_graph_and_what_stands_by(scene: list[dict[str, Any]]) -> None:
    (meta,) = of_kind(scene, "meta")
    assert (meta["mode"], meta["graph"]) == ("stream", "stream.cpu-fp32")
    assert meta["graph_why"].startswith("stream fp32")
    assert meta["runtime"] == (
        "onnxrt stream.cpu-fp32 CPU; windows where no stream is believed: onnxrt window.cpu-fp32 CPU"
    )


@pytest.mark.scenes
def test_the_first_wave_is_there_within_a_second_of_the_first_frame_of_the_face(scene: list[dict[str, Any]]) -> None:
    first = next(record for record in scene if record["kind"] == "wave")
    looked_s = [record["pts_ns"] / 1e9 for record in scene[: scene.index(first)] if record["kind"] == "numerics"]
    assert looked_s == []  # it came before the look at 1 s
    assert first["t0_ns"] / 1e9 < 0.1  # its first sample is the face's first, found in the second frame
    assert (first["mode"], first["state"]) == ("stream", "starting")


@pytest.mark.scenes
def test_waves_join_and_name_path_and_state(scene: list[dict[str, Any]]) -> None:
    for name in ("pleth", "resp"):
        blocks = [record for record in of_kind(scene, "wave") if record["wave"] == name]
        assert {block["mode"] for block in blocks} == {"stream"}
        assert {block["state"] for block in blocks} >= {"starting", "ok"}
        ends = [block["t0_ns"] + len(block["samples"]) / block["fs"] * 1e9 for block in blocks]
        for end, block in zip(ends, blocks[1:], strict=False):
            assert block["t0_ns"] == pytest.approx(end, abs=2)


def test_the_same_input_gives_the_same_records(tmp_path: Path) -> None:
    words = ("--rgb", f"synthetic:?seconds=5&seed=2&drop=0.02&jitter_ms=3&{SMALL}", "--device-id", "kit-1")
    assert comparable(run(tmp_path / "a.jsonl", *words)[1]) == comparable(run(tmp_path / "b.jsonl", *words)[1])


@pytest.mark.scenes
def test_a_photograph_shows_no_rate_and_no_wave_once_it_was_judged(tmp_path: Path) -> None:
    uri = f"synthetic:?seconds=14&seed=5&face=photo&{SMALL}"
    code, records = run(tmp_path / "out.jsonl", "--rgb", uri, "--thermal", "none")
    assert code == 0
    assert all(record["hr"]["value"] is None for record in of_kind(records, "numerics"))
    waves = of_kind(records, "wave")
    assert {wave["state"] for wave in waves} == {"starting"}
    assert max(wave["t0_ns"] for wave in waves) < 8e9


def without_streams(place: Path) -> Path:
    """The default bundle less its stream graphs, with a manifest that fits."""
    shutil.copytree(default_bundle_dir(), place)
    manifest = msgspec.json.decode((place / MANIFEST).read_bytes(), type=Manifest)
    kept = tuple(graph for graph in manifest.graphs if graph.mode == "exact")
    gone = {graph.file for graph in manifest.graphs} - {graph.file for graph in kept}
    files = {name: entry for name, entry in manifest.files.items() if name not in gone}
    data = msgspec.json.encode(msgspec.structs.replace(manifest, graphs=kept, files=files, stream=None))
    (place / MANIFEST).write_bytes(data)
    (place / MANIFEST_HASH).write_bytes(manifest_hash_line(data))
    for name in gone:
        (place / name).unlink()
    return place


def test_a_bundle_without_streams_is_one_line_and_exit_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = without_streams(tmp_path / "bundle")
    code, records = run(tmp_path / "out.jsonl", "--rgb", "synthetic:?seconds=2", "--bundle", str(bundle))
    assert (code, records) == (4, [])
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mmrphys:")]
    assert "has no stream/fp32 graph" in line


def test_a_save_restored_gives_the_same_samples() -> None:
    session, _ = open_stream(load_bundle(None))
    frames = load_frames()
    whole, parts = StreamRunner(session), StreamRunner(session)
    wanted = whole.run(frames, 12)
    parts.run(frames[:, :, :60], 12)
    saved = parts.state.copy()
    parts.reset()
    parts.run(frames[:, :, 24:], 12)
    parts.state = saved
    rest = parts.run(frames[:, :, 60:], 12)
    assert all((rest[task] == wanted[task][60:]).all() for task in wanted)


def load_frames() -> Any:
    from edge.runtimes.onnxrt import selftest_from_bundle

    return selftest_from_bundle(load_bundle(None))[0]
