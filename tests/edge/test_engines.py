"""The cache of engines; TensorRT is the fake where the plan does not matter."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from fakes import tensorrt_module

from edge import engines, sealed_files
from edge.bundle import Graph, load_bundle
from edge.cuda_driver import Gpu
from edge.engine_build import BuildStoppedError, Span
from edge.engines import (
    Engine,
    EngineCache,
    Fingerprint,
    Machine,
    default_cache,
    engine_from_graph,
    fingerprint_of,
    l4t_from_text,
    machine_of,
)
from edge.errors import EngineError, FaultError

HERE = Machine("tensorrt 10.3.0", "8.7", "R36.4.3")
PLAN = b"a plan " * 400


@pytest.fixture(scope="module")
def graph() -> Graph:
    return load_bundle(None).graph("exact", "tensorrt")


@pytest.fixture
def wanted(graph: Graph) -> Fingerprint:
    return fingerprint_of(graph, Span(), HERE)


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines", tmp_path / "state" / "engine.key")


@pytest.fixture
def trt() -> Iterator[Any]:
    tensorrt_module.calls.clear()
    yield tensorrt_module
    tensorrt_module.trouble.clear()


def build(trt: Any, graph: Graph, wanted: Fingerprint, cache: EngineCache, **options: Any) -> Engine:
    options.setdefault("progress", lambda _phase, _share: True)
    return engine_from_graph(trt, graph, wanted, cache, span=Span(), **options)


def test_it_is_built_once_and_then_comes_from_the_cache(
    trt: Any, graph: Graph, wanted: Fingerprint, cache: EngineCache
) -> None:
    first = build(trt, graph, wanted, cache)
    assert (first.plan, first.why) == (PLAN, f"built (the first of this graph), {cache.path('window.fp32', wanted)}")
    trt.calls.clear()
    again = build(trt, graph, wanted, cache)
    assert (again.plan, trt.calls) == (PLAN, [])
    assert again.why.startswith("from the cache")
    assert build(trt, graph, wanted, cache, anew=True).why.startswith("built (asked for)")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"machine": Machine("tensorrt 10.16.2", "8.7", "R36.4.3")},
            "TensorRT tensorrt 10.3.0 (here tensorrt 10.16.2)",
        ),
        ({"machine": Machine("tensorrt 10.3.0", "11.0", "R36.4.3")}, "SM 8.7 (here 11.0)"),
        ({"machine": Machine("tensorrt 10.3.0", "8.7", "R39.0")}, "L4T R36.4.3 (here R39.0)"),
        ({"precision": "fp16"}, "precision fp32 (here fp16)"),
        ({"span": "1:2:4"}, "span 1:1:1 (here 1:2:4)"),
        ({"onnx": "0" * 64}, "(here 000000000000)"),
    ],
)
def test_whatever_changes_it_is_built_anew_and_the_other_one_refused(
    trt: Any, graph: Graph, wanted: Fingerprint, cache: EngineCache, change: dict[str, Any], says: str
) -> None:
    build(trt, graph, wanted, cache)
    other = msgspec.structs.replace(wanted, **change)
    assert cache.load("window.fp32", other) is None
    shutil.copy(cache.path("window.fp32", wanted), cache.path("window.fp32", other))
    with pytest.raises(EngineError, match="built elsewhere") as caught:
        cache.load("window.fp32", other)
    assert says in str(caught.value)
    cache.path("window.fp32", other).unlink()
    assert says in build(trt, graph, other, cache).why
    assert cache.load("window.fp32", wanted) == PLAN


def test_1000_flipped_bytes_are_refused_before_anything_is_loaded(
    trt: Any, graph: Graph, wanted: Fingerprint, cache: EngineCache
) -> None:
    build(trt, graph, wanted, cache)
    path = cache.path("window.fp32", wanted)
    sound = path.read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(1000):
        damaged = bytearray(sound)
        damaged[int(rng.integers(len(sound)))] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        with pytest.raises(EngineError) as caught:
            cache.load("window.fp32", wanted)
        assert "\n" not in str(caught.value)
    path.write_bytes(sound)
    assert cache.load("window.fp32", wanted) == PLAN


def test_an_engine_that_was_changed_is_built_anew(
    trt: Any, graph: Graph, wanted: Fingerprint, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    build(trt, graph, wanted, cache)
    path = cache.path("window.fp32", wanted)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert "the one in the cache was refused" in build(trt, graph, wanted, cache).why
    assert "it was changed" in caplog.text
    assert cache.load("window.fp32", wanted) == PLAN


def test_a_copied_cache_has_another_machines_key(
    trt: Any, graph: Graph, wanted: Fingerprint, cache: EngineCache, tmp_path: Path
) -> None:
    build(trt, graph, wanted, cache)
    other = EngineCache(cache.folder, tmp_path / "other" / "engine.key")
    with pytest.raises(EngineError, match="built elsewhere: the key of this machine did not write it"):
        other.load("window.fp32", wanted)
    assert [entry.refused for entry in cache.entries(HERE)] == [None]
    assert [str(entry.refused)[:15] for entry in other.entries(HERE)] == ["built elsewhere"]


def test_an_engine_under_another_name_or_behind_a_link_is_refused(
    trt: Any, graph: Graph, wanted: Fingerprint, cache: EngineCache
) -> None:
    build(trt, graph, wanted, cache)
    path = cache.path("window.fp32", wanted)
    path.rename(path.with_name("real"))
    path.symlink_to("real")
    with pytest.raises(EngineError, match="not a readable plain file"):
        cache.load("window.fp32", wanted)


def test_on_a_full_disk_the_engine_before_stays(
    trt: Any, graph: Graph, wanted: Fingerprint, cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(trt, graph, wanted, cache)
    before = sorted(path.name for path in cache.folder.iterdir())

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sealed_files.os, "fsync", full)
    with pytest.raises(FaultError, match="No space left on device"):
        build(trt, graph, wanted, cache, anew=True)
    assert cache.load("window.fp32", wanted) == PLAN
    assert sorted(path.name for path in cache.folder.iterdir()) == before


def test_when_the_system_lets_no_more_be_written_the_engine_before_stays(
    trt: Any, graph: Graph, wanted: Fingerprint, cache: EngineCache
) -> None:
    """The kernel's own refusal in the middle of the file, as on a full disk: nothing here is made up."""
    build(trt, graph, wanted, cache)
    before = sorted(path.name for path in cache.folder.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(PLAN) // 2, hard))
    try:
        with pytest.raises(FaultError, match=r"File too large while writing; .* what was there before stays"):
            build(trt, graph, wanted, cache, anew=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert cache.load("window.fp32", wanted) == PLAN
    assert sorted(path.name for path in cache.folder.iterdir()) == before


def test_a_build_that_is_stopped_or_fails_leaves_nothing(
    trt: Any, graph: Graph, wanted: Fingerprint, cache: EngineCache
) -> None:
    with pytest.raises(BuildStoppedError):
        build(trt, graph, wanted, cache, progress=lambda _phase, share: share < 0.5)
    trt.trouble.add("build")
    with pytest.raises(FaultError):
        build(trt, graph, wanted, cache)
    assert not cache.folder.exists() or list(cache.folder.iterdir()) == []


def test_the_measurements_of_a_build_help_the_next_unless_they_were_changed(
    trt: Any, graph: Graph, wanted: Fingerprint, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    build(trt, graph, wanted, cache)
    assert cache.load_timing(HERE) == b"+"
    build(trt, graph, wanted, cache, anew=True)
    assert cache.load_timing(HERE) == b"++"
    build(trt, graph, wanted, cache, anew=True, timing=b"from a kit")
    assert cache.load_timing(HERE) == b"from a kit+"
    path = next(cache.folder.glob("*.timing"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert cache.load_timing(HERE) == b""
    assert "building without it" in caplog.text


def test_cleaning_removes_what_cannot_be_used_and_on_demand_everything(
    trt: Any, graph: Graph, wanted: Fingerprint, cache: EngineCache
) -> None:
    build(trt, graph, wanted, cache)
    foreign = msgspec.structs.replace(wanted, machine=Machine("tensorrt 8.6.2", "7.2", "R35.4.1"))
    build(trt, graph, foreign, cache)
    (cache.folder / "junk.engine").write_bytes(b"junk")
    refused = {entry.path.name: entry.refused for entry in cache.entries(HERE)}
    assert refused["junk.engine"] == "it is cut short or no sealed file"
    assert str(refused[cache.path("window.fp32", foreign).name]).startswith("built elsewhere: TensorRT")
    gone = cache.clean(HERE, everything=False)
    assert sorted(path.name for path in gone) == sorted(["junk.engine", cache.path("window.fp32", foreign).name])
    assert cache.load("window.fp32", wanted) == PLAN
    cache.clean(HERE, everything=True)
    assert list(cache.folder.iterdir()) == []


def test_the_release_of_l4t_is_read_from_what_a_jetson_says() -> None:
    said = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 2025"
    assert l4t_from_text(said) == "R36.4.3"
    assert l4t_from_text("") == "none"


def test_the_machine_is_tensorrt_gpu_and_l4t(monkeypatch: pytest.MonkeyPatch, trt: Any, tmp_path: Path) -> None:
    class Driver:
        def gpu(self) -> Gpu:
            return Gpu("Orin", "8.7")

    (tmp_path / "release").write_text("# R39 (release), REVISION: 0.1, GCID: 1")
    monkeypatch.setattr(engines, "_L4T_RELEASE", tmp_path / "release")
    monkeypatch.setattr(engines, "open_driver", Driver)
    assert machine_of(trt) == Machine("tensorrt 10.3.0", "8.7", "R39.0.1")
    monkeypatch.setattr(engines, "open_driver", lambda: None)
    monkeypatch.setattr(engines, "_L4T_RELEASE", tmp_path / "nothing")
    assert machine_of(trt) == Machine("tensorrt 10.3.0", "none", "none")


def test_the_users_key_lies_apart_from_the_engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    cache = default_cache()
    assert cache.folder == tmp_path / "cache" / "mmrphys" / "engines"
    cache.store("g", Fingerprint("0" * 64, "fp32", "1:1:1", HERE), b"plan")
    assert (tmp_path / "state" / "mmrphys" / "engine.key").is_file()
