"""Files that only this machine can have written: a header, a body, and an HMAC-SHA256 keyed by a local secret.

A file is read once into memory and checked there, and only the checked bytes are handed on, so nothing can change
between check and use. It is written beside its place, synced and renamed: whatever goes wrong, the file before stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from edge.errors import EngineError, FaultError

__all__ = ["TEMPORARY", "key_id", "local_key", "peek", "read_file", "seal", "sweep",
           "sync_folder", "unseal", "write_file", "write_synced"]  # fmt: skip

MAGIC = b"MMRPHYS-SEALED-1\n"
TEMPORARY = ".tmp"
MAX_BYTES = 1024 * 1024 * 1024
_KEY_BYTES = 32
_SEAL_BYTES = hashlib.sha256().digest_size
_LENGTH_BYTES = 4
_MAX_HEADER_BYTES = 64 * 1024


def seal(key: bytes, header: bytes, body: bytes) -> bytes:
    """The content of a file: magic, length of the header, header, body, and the HMAC of all before it."""
    content = MAGIC + len(header).to_bytes(_LENGTH_BYTES, "little") + header + body
    return content + hmac.digest(key, content, "sha256")


def unseal(key: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Header and body of what :func:`seal` gave for the same key; EngineError for anything else."""
    header = peek(data)
    if not hmac.compare_digest(hmac.digest(key, data[:-_SEAL_BYTES], "sha256"), data[-_SEAL_BYTES:]):
        raise EngineError("it was changed, or written with another key")
    return header, data[len(MAGIC) + _LENGTH_BYTES + len(header) : -_SEAL_BYTES]


def peek(data: bytes) -> bytes:
    """The header, not yet checked: good for telling why a file is refused, and for nothing else."""
    start = len(MAGIC) + _LENGTH_BYTES
    length = int.from_bytes(data[len(MAGIC) : start], "little")
    if not data.startswith(MAGIC) or length > _MAX_HEADER_BYTES or start + length + _SEAL_BYTES > len(data):
        raise EngineError("it is cut short or no sealed file")
    return data[start : start + length]


def key_id(key: bytes) -> str:
    """A name for ``key`` that tells nothing of it."""
    return hmac.digest(key, b"key id", "sha256").hex()[:16]


def local_key(path: Path) -> bytes:
    """The secret of this machine at ``path``, made at first use (0600, in a folder of 0700).

    Raises
    ------
    EngineError
        Others can read it, it belongs to somebody else, or it is no key.
    FaultError
        It cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
    except OSError as error:
        raise FaultError(f"{path}: {error.strerror}; the key of this machine cannot be kept there") from error
    return _read_key(path)


def _make_key(path: Path) -> None:
    """Put a new secret at ``path``, whole or not at all; one that another process put there meanwhile stays."""
    temporary = _temporary(path)
    try:
        write_synced(temporary, secrets.token_bytes(_KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _read_key(path: Path) -> bytes:
    facts, key = _read_plain(path, _KEY_BYTES)
    fix = "remove it and build the engines anew"
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise EngineError(f"{path}: mode {stat.S_IMODE(facts.st_mode):o} of user {facts.st_uid}, wanted 600; {fix}")
    if len(key) != _KEY_BYTES:
        raise EngineError(f"{path}: {len(key)} bytes, wanted {_KEY_BYTES}; {fix}")
    return key


def read_file(path: Path) -> bytes:
    """All of a plain file; EngineError when it is none, cannot be read or is larger than 1 GiB."""
    return _read_plain(path, MAX_BYTES)[1]


def _read_plain(path: Path, most: int) -> tuple[os.stat_result, bytes]:
    """Facts and content of a plain file, without following a link. O_NONBLOCK so that a named pipe stalls nothing."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise EngineError(f"{path}: not a readable plain file ({error.strerror}); remove it") from error
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > most:
            raise EngineError(f"{path}: not a plain file of at most {most} bytes; remove it")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return facts, file.read(most)
    finally:
        os.close(handle)


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put ``data`` at ``path``, all or nothing: on a full disk, or when interrupted, what was there stays.

    FaultError when it cannot be written.
    """
    temporary = _temporary(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_synced(temporary, data, mode)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        need = f"{len(data) / 1e6:.1f} MB are needed, what was there before stays"
        raise FaultError(f"{path}: {error.strerror} while writing; {need}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> list[Path]:
    """Remove the unfinished files of processes that are gone, which a kill or a power cut leaves; gives their names."""
    gone = []
    for path in sorted(folder.glob(f".*{TEMPORARY}")):
        owner = path.name.removesuffix(TEMPORARY).rpartition(".")[2].partition("-")[0]
        if not (owner.isdigit() and Path(f"/proc/{owner}").exists()):
            path.unlink(missing_ok=True)
            gone.append(path)
    return gone


def _temporary(path: Path) -> Path:
    """A name of its own: in a container the next process may have the number of the one before."""
    return path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}"


def write_synced(path: Path, data: bytes, mode: int = 0o600) -> None:
    """A new file that is on the disk when this returns; OSError, with what there is left to remove, when it is not."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """The names in ``folder`` are on the disk when this returns."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
