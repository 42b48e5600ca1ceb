from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from fakes.signed_bundles import Signer

from edge.bundle_keys import REVOKED, key_id, make_keys, private_key, trust_from_dir
from edge.errors import BundleError, UsageError


def test_a_pair_is_made_for_its_owner_alone_and_read_back(tmp_path: Path) -> None:
    public, name = make_keys(tmp_path / "a.pem")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.pem", "a.pub"]
    assert (tmp_path / "a.pem").stat().st_mode & 0o777 == 0o600
    assert public.read_text().count("\n") == 1
    assert key_id(private_key(tmp_path / "a.pem").public_key().public_bytes_raw()) == name
    assert "PRIVATE" not in public.read_text()


def test_pairs_differ(tmp_path: Path) -> None:
    assert make_keys(tmp_path / "a.pem")[1] != make_keys(tmp_path / "b.pem")[1]


@pytest.mark.parametrize("there", ["a.pem", "a.pub"])
def test_no_key_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    with pytest.raises(UsageError, match="File exists"):
        make_keys(tmp_path / "a.pem")
    assert (tmp_path / there).read_text() == "precious"
    with pytest.raises(UsageError, match="name of a public key"):
        make_keys(tmp_path / "a.pub")


def test_openssl_and_ssh_keygen_read_the_pair(tmp_path: Path) -> None:
    tools = [shutil.which("openssl"), shutil.which("ssh-keygen")]
    if None in tools:
        pytest.skip("openssl or ssh-keygen is missing: apt-get install openssl openssh-client")
    make_keys(tmp_path / "a.pem")
    subprocess.run(["openssl", "pkey", "-in", tmp_path / "a.pem", "-noout"], check=True)
    done = subprocess.run(["ssh-keygen", "-l", "-f", tmp_path / "a.pub"], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("256 SHA256:")
    assert done.stdout.endswith("a (ED25519)\n")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_private_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    make_keys(tmp_path / "a.pem")
    (tmp_path / "a.pem").chmod(mode)
    with pytest.raises(UsageError, match=f"mode {mode:o}, others can use it; run: chmod 600"):
        private_key(tmp_path / "a.pem")


def test_a_passphrase_is_needed_and_must_be_right(tmp_path: Path) -> None:
    make_keys(tmp_path / "a.pem", b"open sesame")
    assert b"ENCRYPTED" in (tmp_path / "a.pem").read_bytes()
    assert private_key(tmp_path / "a.pem", b"open sesame")
    for wrong in (None, b"open", b""):
        with pytest.raises(UsageError, match="not a private key that can be read"):
            private_key(tmp_path / "a.pem", wrong)


def test_what_is_no_ed25519_private_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content, says in ((other, "not an ed25519 key"), (b"", "can be read"), (b"\xff" * 100, "can be read")):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(UsageError, match=says):
            private_key(path)
    with pytest.raises(UsageError, match="No such file"):
        private_key(tmp_path / "absent.pem")
    os.mkfifo(tmp_path / "pipe.pem", 0o600)
    with pytest.raises(UsageError):
        private_key(tmp_path / "pipe.pem")


def test_every_key_of_the_folder_is_trusted_less_those_that_are_revoked(tmp_path: Path) -> None:
    old, new = Signer.make(tmp_path, "old"), Signer.make(tmp_path, "new")
    assert old.trust.usable == sorted([old.id, new.id])
    (old.keys / REVOKED).write_text(f"# lost in a train\n\n{old.id}  # 2026-11-02\nsha256:{'0' * 64}\n")
    assert old.trust.usable == [new.id]
    assert old.trust.revoked == {old.id, f"sha256:{'0' * 64}"}


def test_without_a_folder_nobody_is_trusted(tmp_path: Path) -> None:
    assert trust_from_dir(tmp_path / "absent").usable == []


def test_the_users_own_folder_stands_in_for_that_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("edge.bundle_keys._SYSTEM", tmp_path / "etc")
    Signer.make(tmp_path)
    shutil.copytree(tmp_path / "keys", tmp_path / "mmrphys" / "keys")
    assert len(trust_from_dir().keys) == 1
    (tmp_path / "etc").mkdir()
    assert len(trust_from_dir().keys) == 0


@pytest.mark.parametrize("line", ["0123", "sha256:12", "ALL", f"{'0' * 17}", "0123456789ABCDEF"])
def test_a_mistyped_revocation_is_an_error_and_not_without_effect(tmp_path: Path, line: str) -> None:
    signer = Signer.make(tmp_path)
    (signer.keys / REVOKED).write_text(f"\n{line}\n")
    with pytest.raises(BundleError, match=r"revoked:2: .* is no id"):
        _ = signer.trust


def test_a_file_that_is_no_ed25519_public_key_is_an_error(tmp_path: Path) -> None:
    signer = Signer.make(tmp_path)
    other = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    for content, says in (
        (other, "not an ed25519 key"),
        (b"", "no public key"),
        (b"ssh-ed25519 AAAA", "no public key"),
    ):
        (signer.keys / "other.pub").write_bytes(content)
        with pytest.raises(BundleError, match=says):
            _ = signer.trust


@pytest.mark.parametrize("name", [".", "release.pub", REVOKED])
@pytest.mark.parametrize("bit", [0o020, 0o002])
def test_keys_that_others_can_change_are_refused(tmp_path: Path, name: str, bit: int) -> None:
    signer = Signer.make(tmp_path)
    (signer.keys / REVOKED).touch()
    place = signer.keys / name
    place.chmod(place.stat().st_mode | bit)
    with pytest.raises(BundleError, match="which others can change"):
        _ = signer.trust


def test_keys_of_another_user_are_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    signer = Signer.make(tmp_path)
    os.chown(signer.keys / "release.pub", 4321, 4321)
    with pytest.raises(BundleError, match="of user 4321, which others can change"):
        _ = signer.trust


def test_more_keys_than_anybody_needs_are_refused(tmp_path: Path) -> None:
    signer = Signer.make(tmp_path)
    for number in range(64):
        shutil.copy(signer.keys / "release.pub", signer.keys / f"{number}.pub")
    with pytest.raises(BundleError, match="65 keys"):
        _ = signer.trust
