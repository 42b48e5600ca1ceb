"""``mmrphys bundle`` and ``run --bundle`` from end to end: exit codes, one line, and what runs afterwards."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zstandard
from fakes.signed_bundles import GRAPH, Signer, small_files, write_files

from edge.bundle import (
    MANIFEST,
    MANIFEST_HASH,
    FileEntry,
    Manifest,
    default_bundle_dir,
    load_bundle,
    manifest_bytes,
    manifest_hash_line,
)
from edge.bundle_archive import archive_from_files
from edge.bundle_keys import REVOKED
from edge.bundle_sign import SIGNATURE
from edge.cli import main

Capture = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Ward:
    """A kit with keys and a store, in which version 2 runs and version 1 was before."""

    folder: Path
    signer: Signer
    places: tuple[str, ...]

    def install(self, path: Path, *more: str) -> int:
        return main(["bundle", "install", str(path), *self.places, *more])

    def verify(self, path: Path) -> int:
        return main(["bundle", "verify", str(path), "--keys", str(self.signer.keys)])

    def check(self, bundle: str | Path = "current") -> int:
        """Start with ``bundle``, self-test, and stop."""
        return main(
            ["run", "--rgb", "synthetic:", "--bundle", str(bundle), *self.places, "--sink", "jsonl:-", "--check"]
        )

    def archive(self, name: str, files: dict[str, bytes]) -> Path:
        path = self.folder / name
        path.write_bytes(archive_from_files(files))
        return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    folder = tmp_path_factory.mktemp("ward")
    made = _ward(folder, Signer.make(folder))
    for version in (1, 2):
        assert made.install(made.archive(f"{version}.tar.zst", made.signer.bundle(version))) == 0
    return made


@pytest.fixture
def ward(installed: Ward, tmp_path: Path) -> Ward:
    """A copy that a test may change."""
    folder = Path(shutil.copytree(installed.folder, tmp_path / "ward"))
    return _ward(folder, Signer(folder / "release.pem", folder / "keys", installed.signer.id))


def _ward(folder: Path, signer: Signer) -> Ward:
    return Ward(folder, signer, ("--keys", str(signer.keys), "--store", str(folder / "store")))


def test_from_keys_to_a_kit_that_runs_the_bundle(tmp_path: Path, capfd: Capture) -> None:
    """The whole way, as SECURITY.md writes it, with the default bundle."""
    folder, keys, store = tmp_path / "mine", tmp_path / "keys", ("--store", str(tmp_path / "store"))
    shutil.copytree(default_bundle_dir(), folder)
    keys.mkdir()
    assert main(["bundle", "keygen", str(tmp_path / "release.pem")]) == 0
    shutil.copy(tmp_path / "release.pub", keys)
    packed = tmp_path / "mine.tar.zst"
    sign = ["bundle", "sign", str(folder), "--key", str(tmp_path / "release.pem"), "--pack", str(packed)]
    assert main(sign) == 2
    assert "give --bundle-version N" in capfd.readouterr().err
    assert main([*sign, "--bundle-version", "3", "--json"]) == 0
    signed = json.loads(capfd.readouterr().out)
    assert (signed["name"], signed["version"]) == ("default", 3)
    for path in (folder, packed):
        assert main(["bundle", "verify", str(path), "--keys", str(keys), "--json"]) == 0
        assert json.loads(capfd.readouterr().out) == signed
    assert main(["bundle", "install", str(packed), "--keys", str(keys), *store]) == 0
    capfd.readouterr()
    assert main(["bundle", "list", *store, "--json"]) == 0
    (row,) = json.loads(capfd.readouterr().out)
    assert (row["use"], row["id"], row["key"], row["failed"]) == ("current", signed["id"], signed["signature"], 0)
    words = ["--bundle", "current", "--keys", str(keys), *store, "--seconds", "1", "--speed", "max"]
    assert main(["run", "--rgb", "synthetic:?width=320&height=240", "--sink", f"jsonl:{tmp_path / 'out'}", *words]) == 0
    meta = json.loads((tmp_path / "out").read_text().splitlines()[0])
    assert (meta["bundle"], meta["signature"]) == (signed["id"], signed["signature"])


def test_signing_again_replaces_the_signature_and_keeps_the_rest(tmp_path: Path, capfd: Capture) -> None:
    one, two = Signer.make(tmp_path, "one"), Signer.make(tmp_path, "two")
    folder = write_files(one.bundle(4), tmp_path / "bundle")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["bundle", "sign", str(folder), "--key", str(two.pem), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["signature"] == f"ed25519:{two.id}"
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {SIGNATURE}
    assert after.keys() == before.keys()


def test_a_damaged_bundle_is_not_signed(tmp_path: Path, capfd: Capture) -> None:
    signer = Signer.make(tmp_path)
    folder = write_files(small_files() | {GRAPH: b"damaged"}, tmp_path / "bundle")
    assert main(["bundle", "sign", str(folder), "--key", str(signer.pem)]) == 4
    assert not (folder / SIGNATURE).exists()
    assert "differs from the manifest" in capfd.readouterr().err


def test_a_passphrase_comes_from_a_file_of_ones_own(tmp_path: Path, capfd: Capture) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    key, folder = str(tmp_path / "a.pem"), write_files(small_files(), tmp_path / "bundle")
    sign = ["bundle", "sign", str(folder), "--key", key]
    secret.chmod(0o644)
    assert main(["bundle", "keygen", key, "--passphrase-file", str(secret)]) == 2
    secret.chmod(0o600)
    assert main(["bundle", "keygen", key, "--passphrase-file", str(secret)]) == 0
    assert main(sign) == 2
    assert main([*sign, "--passphrase-file", str(secret)]) == 0
    secret.write_text("\n")
    assert main([*sign, "--passphrase-file", str(secret)]) == 2
    assert "correct horse" not in "".join(capfd.readouterr())


def test_one_goes_back_by_hand(ward: Ward, capfd: Capture) -> None:
    assert main(["bundle", "rollback", *ward.places[2:]]) == 0
    assert "'small' version 1" in capfd.readouterr().out
    assert main(["bundle", "rollback", *ward.places[2:]]) == 4


def test_nothing_installed_is_said(tmp_path: Path, capfd: Capture) -> None:
    assert main(["bundle", "list", "--store", str(tmp_path)]) == 0
    assert "nothing is installed in" in capfd.readouterr().out


# ----------------------------------------------------------------------------------------------------- what is refused


def _flipped(ward: Ward, seed: int) -> Path:
    data, rng = bytearray(archive_from_files(ward.signer.bundle(3))), np.random.default_rng(seed)
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    path = ward.folder / "flipped.tar.zst"
    path.write_bytes(data)
    return path


def _flipped_file(ward: Ward, seed: int) -> Path:
    """A folder with one changed bit, in any of its files, in some byte of it."""
    files, rng = ward.signer.bundle(3), np.random.default_rng(seed)
    name = sorted(files)[seed % len(files)]
    data = bytearray(files[name])
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return write_files(files | {name: bytes(data)}, ward.folder / "flipped")


def _tar(ward: Ward, change: Callable[[Any], None]) -> Path:
    """A well signed bundle, packed by somebody who put one more member in."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(ward.signer.bundle(3).items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        member = tarfile.TarInfo("more.onnx")
        change(member)
        tar.addfile(member)
    frame = zstandard.ZstdCompressor(level=1).compress(stream.getvalue())
    path = ward.folder / "hostile.tar.zst"
    path.write_bytes(frame + b"\x50\x2a\x4d\x18\x20\0\0\0" + hashlib.sha256(frame).digest())
    return path


def _link(member: Any) -> None:
    member.type, member.linkname = b"2", "/etc/passwd"


def _upwards(member: Any) -> None:
    member.name = "../../../../tmp/more.onnx"


def _absolute(member: Any) -> None:
    member.name = "/etc/cron.d/more"


def _wrong_key(ward: Ward) -> Path:
    stranger = Signer.make(ward.folder, "stranger", "elsewhere")
    return ward.archive("stranger.tar.zst", stranger.bundle(3))


def _wrong_signature(ward: Ward) -> Path:
    return ward.archive("wrong.tar.zst", small_files(3) | {SIGNATURE: ward.signer.bundle(2)[SIGNATURE]})


def _revoked(ward: Ward) -> Path:
    lost = Signer.make(ward.folder, "lost")
    (ward.signer.keys / REVOKED).write_text(lost.id)
    return ward.archive("lost.tar.zst", lost.bundle(3))


REFUSED: dict[str, Callable[[Ward], Path]] = {
    **{f"a byte of the archive changed, seed {seed}": partial(_flipped, seed=seed) for seed in range(6)},
    **{f"a byte of the folder changed, seed {seed}": partial(_flipped_file, seed=seed) for seed in range(7)},
    "another key": _wrong_key,
    "a signature of another bundle": _wrong_signature,
    "a revoked key": _revoked,
    "no signature": lambda ward: ward.archive("unsigned.tar.zst", small_files(3)),
    "no version": lambda ward: ward.archive("unversioned.tar.zst", ward.signer.bundle(0)),
    "an older version replayed": lambda ward: ward.folder / "1.tar.zst",
    "a link in the archive": lambda ward: _tar(ward, _link),
    "a path upwards in the archive": lambda ward: _tar(ward, _upwards),
    "an absolute path in the archive": lambda ward: _tar(ward, _absolute),
    "a file that is not there": lambda ward: ward.folder / "absent.tar.zst",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_must_not_be_installed_is_refused_in_one_line_and_the_one_before_still_runs(
    ward: Ward, capfd: Capture, case: str
) -> None:
    path = REFUSED[case](ward)
    began = time.perf_counter()
    code = ward.install(path)
    took_s = time.perf_counter() - began
    out, err = capfd.readouterr()
    assert (code, out, err.count("\n")) == (4, "", 1)
    assert err.startswith("mmrphys: ")
    assert ward.check() == 0
    assert "bundle: small" in capfd.readouterr().err
    assert main(["bundle", "list", *ward.places[2:], "--json"]) == 0
    assert [row["version"] for row in json.loads(capfd.readouterr().out)] == [2, 1]
    sys.stdout.write(f"{took_s:.3f} s  {case}: {err.replace(str(ward.folder), '')}")  # pytest -rP shows it


def test_an_older_version_is_installed_only_when_asked_for(ward: Ward) -> None:
    assert ward.install(ward.folder / "1.tar.zst") == 4
    assert ward.install(ward.folder / "1.tar.zst", "--allow-downgrade") == 0


def test_without_a_trusted_key_nothing_is_installed(ward: Ward, capfd: Capture) -> None:
    (ward.signer.keys / "release.pub").unlink()
    assert ward.install(ward.archive("3.tar.zst", ward.signer.bundle(3))) == 4
    assert "no trusted key" in capfd.readouterr().err


def test_run_takes_unsigned_bundles_and_refuses_wrongly_signed_ones(ward: Ward, capfd: Capture) -> None:
    unsigned = write_files(small_files(3), ward.folder / "unsigned")
    assert ward.check(unsigned) == 0
    assert "(signature: none)" in capfd.readouterr().err
    signed = write_files(ward.signer.bundle(3), ward.folder / "signed")
    assert ward.check(signed) == 0
    assert f"(signature: ed25519:{ward.signer.id})" in capfd.readouterr().err
    wrong = write_files(small_files(3) | {SIGNATURE: ward.signer.bundle(2)[SIGNATURE]}, ward.folder / "wrong")
    foreign = write_files(Signer.make(ward.folder, "x", "y").bundle(3), ward.folder / "foreign")
    for folder, says in ((wrong, "not what key"), (foreign, "which is not among those in")):
        assert ward.check(folder) == 4
        err = capfd.readouterr().err
        assert says in err
        assert err.count("\n") == 1


def test_verify_wants_a_signature_unless_told_otherwise(ward: Ward, capfd: Capture) -> None:
    unsigned = write_files(small_files(3), ward.folder / "unsigned")
    assert ward.verify(unsigned) == 4
    assert "it is not signed" in capfd.readouterr().err
    assert main(["bundle", "verify", str(unsigned), "--allow-unsigned"]) == 0
    assert "signature: none" in capfd.readouterr().out


def test_run_goes_back_after_three_self_tests_that_failed(ward: Ward, capfd: Capture) -> None:
    """A signed bundle whose graph is another one than its self-test was made with."""
    other = load_bundle(None).files["window.cpu-int8.onnx"]
    files = small_files(3)
    manifest = msgspec.json.decode(files[MANIFEST], type=Manifest)
    entries = manifest.files | {GRAPH: FileEntry(hashlib.sha256(other).hexdigest(), len(other))}
    data = manifest_bytes(msgspec.structs.replace(manifest, files=entries))
    files |= {GRAPH: other, MANIFEST: data, MANIFEST_HASH: manifest_hash_line(data)}
    assert ward.install(ward.archive("3.tar.zst", ward.signer.signed(files))) == 0
    for _ in range(3):
        assert ward.check() == 5
    capfd.readouterr()
    assert ward.check() == 0
    assert main(["bundle", "list", *ward.places[2:]]) == 0
    assert "current: small version 2" in capfd.readouterr().out


def test_a_wrong_option_of_a_run_does_not_count(ward: Ward, capfd: Capture) -> None:
    for _ in range(4):
        words = ["run", "--rgb", "synthetic:", "--bundle", "current", *ward.places, "--thermal", "none"]
        assert main([*words, "--rig", str(ward.folder / "absent.json"), "--check"]) in {2, 3}
    assert main(["bundle", "list", *ward.places[2:]]) == 0
    assert "current: small version 2, " in (out := capfd.readouterr().out)
    assert "0 failed self-tests" in out
