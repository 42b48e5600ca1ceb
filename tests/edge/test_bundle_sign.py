from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest
from fakes.signed_bundles import Signer, small_files, write_files

from edge.bundle import (
    MANIFEST,
    MANIFEST_HASH,
    FileEntry,
    Manifest,
    bundle_from_files,
    load_bundle,
    manifest_bytes,
    manifest_hash_line,
)
from edge.bundle_keys import REVOKED, Trust
from edge.bundle_sign import SIGNATURE, check_signature
from edge.errors import BundleError

PLACE = Path("bundle")


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.make(tmp_path)


def test_a_signed_bundle_says_who_vouches_for_it(signer: Signer, tmp_path: Path) -> None:
    folder = write_files(signer.bundle(), tmp_path / "bundle")
    assert load_bundle(folder, signer.trust).signature == f"ed25519:{signer.id}"


def test_an_unsigned_bundle_says_so(signer: Signer) -> None:
    assert bundle_from_files(small_files(), PLACE, signer.trust).signature == "none"


def test_every_changed_bit_of_a_signature_is_refused(signer: Signer) -> None:
    """Base64 has bits that say nothing and a key id is not signed: both are held anyway."""
    files, trust = signer.bundle(), signer.trust
    line = files[SIGNATURE]
    for bit in range(8 * len(line)):
        changed = bytearray(line)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BundleError):
            check_signature(files[MANIFEST], bytes(changed), trust, PLACE)
    assert check_signature(files[MANIFEST], line, trust, PLACE)


@pytest.mark.parametrize("line", [b"", b"\n", b"ed25519\n", b"ed25519 0123456789abcdef AAAA\n", b"\xff" * 114])
def test_what_is_no_signature_is_refused_and_not_taken_for_none(signer: Signer, line: bytes) -> None:
    with pytest.raises(BundleError, match="no signature of a bundle"):
        bundle_from_files(small_files() | {SIGNATURE: line}, PLACE, signer.trust)


def test_seeded_changes_of_a_signed_manifest_are_refused_before_it_is_read(signer: Signer) -> None:
    files, trust, rng = signer.bundle(), signer.trust, np.random.default_rng(3)
    for place in rng.integers(len(files[MANIFEST]), size=200):
        changed = bytearray(files[MANIFEST])
        changed[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(BundleError, match=f"not what key {signer.id} signed"):
            check_signature(bytes(changed), files[SIGNATURE], trust, PLACE)


def test_a_signature_of_another_key_or_bundle_is_refused(signer: Signer, tmp_path: Path) -> None:
    stranger = Signer.make(tmp_path, "stranger", "elsewhere")
    with pytest.raises(BundleError, match=f"signed with key {stranger.id}, which is not among those in"):
        bundle_from_files(stranger.bundle(), PLACE, signer.trust)
    renamed = stranger.bundle()[SIGNATURE].replace(stranger.id.encode(), signer.id.encode())
    with pytest.raises(BundleError, match="not what key"):
        bundle_from_files(small_files() | {SIGNATURE: renamed}, PLACE, signer.trust)
    with pytest.raises(BundleError, match="not what key"):
        bundle_from_files(small_files(2) | {SIGNATURE: signer.bundle(1)[SIGNATURE]}, PLACE, signer.trust)


def test_keys_rotate_both_hold_until_the_old_one_is_revoked(signer: Signer, tmp_path: Path) -> None:
    new = Signer.make(tmp_path, "new")
    for one in (signer, new):
        assert bundle_from_files(one.bundle(), PLACE, signer.trust).signature == f"ed25519:{one.id}"
    (signer.keys / REVOKED).write_text(signer.id)
    assert bundle_from_files(new.bundle(), PLACE, signer.trust).signature == f"ed25519:{new.id}"
    with pytest.raises(BundleError, match=f"signed with the revoked key {signer.id}"):
        bundle_from_files(signer.bundle(), PLACE, signer.trust)
    (signer.keys / "release.pub").unlink()  # revoked stays revoked, whether its key is there or not
    with pytest.raises(BundleError, match="revoked key"):
        bundle_from_files(signer.bundle(), PLACE, signer.trust)


@pytest.mark.parametrize("signed", [True, False])
def test_a_revoked_bundle_is_refused_signed_or_not(signer: Signer, signed: bool) -> None:
    files = signer.bundle() if signed else small_files()
    found = bundle_from_files(files, PLACE, signer.trust)
    (signer.keys / REVOKED).write_text(found.id)
    with pytest.raises(BundleError, match=f"{found.id} is revoked"):
        bundle_from_files(files, PLACE, signer.trust)
    assert bundle_from_files(small_files(2), PLACE, signer.trust)


def test_nobody_is_trusted_by_default(signer: Signer) -> None:
    with pytest.raises(BundleError, match="which is not among those in"):
        bundle_from_files(signer.bundle(), PLACE, Trust(PLACE))


def test_a_manifest_may_not_list_its_own_signature(signer: Signer) -> None:
    manifest = msgspec.json.decode(small_files()[MANIFEST], type=Manifest)
    entry = {SIGNATURE: FileEntry("0" * 64, 1)}
    data = manifest_bytes(msgspec.structs.replace(manifest, files=manifest.files | entry))
    with pytest.raises(BundleError, match="no name for a bundle file"):
        bundle_from_files(
            signer.signed(small_files() | {MANIFEST: data, MANIFEST_HASH: manifest_hash_line(data)}),
            PLACE,
            signer.trust,
        )


def test_openssl_agrees(signer: Signer, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is missing: apt-get install openssl")
    folder = write_files(signer.bundle(), tmp_path / "bundle")
    (tmp_path / "raw").write_bytes(base64.b64decode((folder / SIGNATURE).read_bytes().split()[2]))
    subprocess.run(["openssl", "pkey", "-in", signer.pem, "-pubout", "-out", tmp_path / "public"], check=True)
    verify = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", tmp_path / "public"]
    done = subprocess.run([*verify, "-in", folder / MANIFEST, "-sigfile", tmp_path / "raw"], check=False)
    assert done.returncode == 0
    (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes() + b" ")
    done = subprocess.run([*verify, "-in", folder / MANIFEST, "-sigfile", tmp_path / "raw"], check=False)
    assert done.returncode == 1
