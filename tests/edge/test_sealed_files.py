from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge import sealed_files
from edge.errors import EngineError, FaultError
from edge.sealed_files import key_id, local_key, peek, read_file, seal, sweep, unseal, write_file

KEY, OTHER = b"k" * 32, b"o" * 32
SIZE = 300_000

SLOW_WRITER = """
import os, sys, time
from pathlib import Path
from edge import sealed_files
real = os.fsync
def slow(handle):
    print("written", flush=True)
    time.sleep(60)
sealed_files.os.fsync = slow
sealed_files.write_file(Path(sys.argv[1]), b"new" * 100_000)
"""


def test_what_was_sealed_comes_back() -> None:
    assert unseal(KEY, seal(KEY, b"header", b"body")) == (b"header", b"body")
    assert unseal(KEY, seal(KEY, b"", b"")) == (b"", b"")
    assert peek(seal(KEY, b"header", b"body")) == b"header"


def test_1000_flipped_bytes_are_refused() -> None:
    rng = np.random.default_rng(20_261_124)
    sealed = seal(KEY, b'{"graph":"window.fp32"}', rng.bytes(50_000))
    for _ in range(1000):
        place, change = int(rng.integers(len(sealed))), int(rng.integers(1, 256))
        damaged = bytearray(sealed)
        damaged[place] ^= change
        with pytest.raises(EngineError):
            unseal(KEY, bytes(damaged))


@pytest.mark.parametrize("length", [0, 1, 16, 17, 20, 21, 30, 52, 60])
def test_what_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(EngineError):
        unseal(KEY, seal(KEY, b"header", b"body")[:length])


def test_another_key_is_refused_and_has_another_name() -> None:
    with pytest.raises(EngineError, match="another key"):
        unseal(OTHER, seal(KEY, b"header", b"body"))
    assert key_id(KEY) != key_id(OTHER)
    assert len(key_id(KEY)) == 16


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "engine.key"
    key = local_key(path)
    assert (len(key), local_key(path)) == (32, key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["engine.key"]


def test_of_two_keys_made_at_once_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "engine.key"
    real = os.link

    def late(source: Path, target: Path) -> None:
        target.write_bytes(OTHER)
        target.chmod(0o600)
        real(source, target)

    monkeypatch.setattr(sealed_files.os, "link", late)
    assert local_key(path) == OTHER


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    local_key(path := tmp_path / "engine.key")
    path.chmod(mode)
    with pytest.raises(EngineError, match=r"mode 6\d\d .* wanted 600; remove it"):
        local_key(path)


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "engine.key"
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(EngineError, match="5 bytes, wanted 32"):
        local_key(path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(KEY)
    with pytest.raises(EngineError, match="not a readable plain file"):
        local_key(path)


@pytest.mark.timeout(20)
def test_a_pipe_or_a_folder_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "missing"):
        with pytest.raises(EngineError, match="plain file"):
            read_file(tmp_path / name)


def test_a_file_is_written_whole_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["file"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 kB, where one can be had."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no right to mount a small disk here; the next tests stand in")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_on_a_full_disk_the_file_before_stays(small_disk: Path) -> None:
    path = small_disk / "file"
    write_file(path, b"old" * (SIZE // 3))
    with pytest.raises(FaultError, match=r"No space left on device while writing; 0\.3 MB are needed"):
        write_file(path, b"new" * (SIZE // 3))
    assert path.read_bytes() == b"old" * (SIZE // 3)
    assert [one.name for one in small_disk.iterdir()] == ["file"]


@pytest.mark.parametrize("call", ["fsync", "link", "open"])
def test_no_failing_call_leaves_anything_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_file(tmp_path / "file", b"old")
    monkeypatch.setattr(sealed_files.os, call, fail)
    with pytest.raises(FaultError, match="No space left"):
        local_key(tmp_path / "key") if call == "link" else write_file(tmp_path / "file", b"new")
    monkeypatch.undo()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_an_interrupt_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_handle: int) -> None:
        raise KeyboardInterrupt

    write_file(tmp_path / "file", b"old")
    monkeypatch.setattr(sealed_files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_kill_while_writing_leaves_what_the_next_build_sweeps(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")
    with subprocess.Popen([sys.executable, "-c", SLOW_WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        assert sweep(tmp_path) == []  # its owner still writes
        writer.kill()
        writer.wait()
    assert path.read_bytes() == b"old"
    end = time.monotonic() + 10.0
    while not (gone := sweep(tmp_path)):
        assert time.monotonic() < end
    assert len(gone) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
