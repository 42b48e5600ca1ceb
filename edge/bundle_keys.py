"""Keys that vouch for bundles: ed25519 (RFC 8032) key pairs, the folder of those that are trusted, and revocation.

A private key is PKCS #8 in PEM, as ``openssl genpkey -algorithm ed25519`` writes it, in a file that its owner alone can
read. A public key is one line as OpenSSH has it, ``ssh-ed25519 AAAA... comment``; its id is the first 16 hex digits of
the SHA-256 of its 32 bytes. Every ``*.pub`` in the folder of keys is trusted, so that a new key is added before the old
one goes; ids in its file ``revoked`` (of keys, or ``sha256:...`` of bundles; one a line, ``#`` begins a remark) are
trusted no more, whatever else lies there.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import BundleError, UsageError, first_line
from edge.sealed_files import sync_folder, write_synced

if TYPE_CHECKING:  # costs a tenth of a second, which only signed bundles need
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["REVOKED", "Trust", "default_keys_dir", "key_id", "make_keys", "private_key",
           "secret_bytes", "trust_from_dir", "trust_from_key"]  # fmt: skip

REVOKED = "revoked"
_SYSTEM = Path("/etc/mmrphys/keys")
_MAX_KEYS = 64
_MAX_KEY_BYTES = 64 * 1024
_ID = re.compile(r"[0-9a-f]{16}|sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signature counts: ``keys`` are raw public keys by id; ``revoked`` has ids of keys and of bundles."""

    place: Path
    keys: Mapping[str, bytes] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()

    @property
    def usable(self) -> list[str]:
        """Ids of the keys that are not revoked."""
        return sorted(self.keys.keys() - self.revoked)


def key_id(public: bytes) -> str:
    """The id of a raw public key."""
    return hashlib.sha256(public).hexdigest()[:16]


def default_keys_dir() -> Path:
    """``/etc/mmrphys/keys`` where there is one, else the user's ``mmrphys/keys`` under ``XDG_CONFIG_HOME``."""
    if _SYSTEM.is_dir():
        return _SYSTEM
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mmrphys" / "keys"


# --------------------------------------------------------------------------------------------------------- public keys


def trust_from_dir(place: Path | None = None) -> Trust:
    """The keys in the folder ``place`` (None: the default one); nothing is trusted where there is no folder.

    Raises
    ------
    BundleError
        A key or list cannot be read, is none, or could have been put there by somebody else.
    """
    place = place or default_keys_dir()
    if not place.is_dir():
        return Trust(place)
    try:
        _check_own(place, place.stat())
        paths = sorted(place.glob("*.pub"))
        if len(paths) > _MAX_KEYS:
            raise BundleError(f"{place}: {len(paths)} keys, wanted at most {_MAX_KEYS}; remove old ones")
        keys = {key_id(public): public for public in map(_public_key, paths)}
        listed = place / REVOKED
        revoked = _revoked(listed) if listed.exists() else frozenset()
    except OSError as error:
        raise BundleError(f"{error.filename}: {error.strerror}; make it readable") from error
    return Trust(place, keys, revoked)


def _public_key(path: Path) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key  # noqa: PLC0415

    try:
        key = load_ssh_public_key(_own_file(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BundleError(f"{path}: no public key ({first_line(error)}); want 'ssh-ed25519 AAAA...'") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BundleError(f"{path}: not an ed25519 key; want one line 'ssh-ed25519 AAAA...'")
    return key.public_bytes_raw()


def _revoked(path: Path) -> frozenset[str]:
    """The ids of a list; a line that is none is an error, for a mistyped id would stay trusted."""
    lines = [line.partition("#")[0].strip() for line in _own_file(path).decode(errors="replace").splitlines()]
    for number, line in enumerate(lines, 1):
        if line and not _ID.fullmatch(line):
            raise BundleError(f"{path}:{number}: {line!a} is no id; want 16 hex digits or sha256:...")
    return frozenset(filter(None, lines))


def _own_file(path: Path) -> bytes:
    with path.open("rb") as file:
        _check_own(path, os.fstat(file.fileno()))
        return file.read(_MAX_KEY_BYTES)


def _check_own(path: Path, facts: os.stat_result) -> None:
    """Whoever can change the keys decides which bundles run."""
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or facts.st_uid not in {0, os.geteuid()}:
        raise BundleError(
            f"{path}: mode {stat.S_IMODE(facts.st_mode):o} of user {facts.st_uid}, which others can change; want it of "
            f"root or of you: chown root {path}, chmod go-w {path}"
        )


# -------------------------------------------------------------------------------------------------------- private keys


def make_keys(path: Path, passphrase: bytes | None = None) -> tuple[Path, str]:
    """A new private key at ``path`` (0600) and its public line beside it; gives the latter's path and the id.

    Nothing that is there is overwritten. UsageError when a file cannot be made.
    """
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    public_path = path.with_suffix(".pub")
    if public_path == path:
        raise UsageError(f"{path}: is the name of a public key; name it {path.stem}.pem")
    key = Ed25519PrivateKey.generate()
    sealed = form.BestAvailableEncryption(passphrase) if passphrase else form.NoEncryption()
    public = key.public_key()
    line = public.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    try:
        write_synced(path, key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, sealed))
        write_synced(public_path, line + f" {path.stem}\n".encode(), 0o644)
        sync_folder(path.parent)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; name a key that is not there yet") from error
    return public_path, key_id(public.public_bytes_raw())


def private_key(path: Path, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """The key at ``path``; UsageError when it cannot be read, is none, or others can read it."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(secret_bytes(path), passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path}: not a private key that can be read ({first_line(error)}); want PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path}: not an ed25519 key; make one with: mmrphys bundle keygen {path.stem}.pem")
    return key


def trust_from_key(key: Ed25519PrivateKey) -> Trust:
    """Trust in this key alone."""
    public = key.public_key().public_bytes_raw()
    return Trust(Path(), {key_id(public): public})


def secret_bytes(path: Path) -> bytes:
    """The content of a file that holds a secret; UsageError when it cannot be read, or by others too."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # a named pipe stalls nothing
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise UsageError(f"{path}: mode {stat.S_IMODE(mode):o}, others can use it; run: chmod 600 {path}")
            return file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; want a file that only you can read") from error
