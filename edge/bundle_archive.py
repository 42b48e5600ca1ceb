"""A bundle as one file, ``.tar.zst``, and back: bytes to bytes, so that nothing is written before it is checked.

The file is one zstd frame, which holds a tar of plain files, and a skippable frame (RFC 8878, 3.1.2) with the SHA-256
of all before it: ``tar --zstd -xf`` reads it as any other, and damage shows before anything is unpacked. That hash is
against damage; against intent are the signature and the hashes inside, and the limits here. What a tar can say is more
than a bundle needs, so only what :func:`archive_from_files` writes is taken: links, devices, folders, other names,
extended headers or a second member of one name are refused, as is what is not, byte for byte, the tar of its files.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Mapping
from pathlib import Path

import zstandard

from edge.bundle import FILE_NAME, MAX_BUNDLE_BYTES, MAX_FILE_BYTES, MAX_FILES, check_total
from edge.errors import BundleError, first_line

__all__ = ["archive_from_files", "files_from_archive", "read_archive"]

_LEVEL = 19
_SKIPPABLE = 0x184D2A50.to_bytes(4, "little")
_DIGEST_BYTES = hashlib.sha256().digest_size
_TRAILER_BYTES = len(_SKIPPABLE) + 4 + _DIGEST_BYTES
_MAX_WINDOW = 128 * 1024 * 1024
_MAX_TAR_BYTES = MAX_BUNDLE_BYTES + (MAX_FILES + 1) * 1024 + tarfile.RECORDSIZE


def archive_from_files(files: Mapping[str, bytes]) -> bytes:
    """The archive of a bundle's files by name. The same files give the same bytes with the same release of zstd."""
    frame = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(_tar(files))
    return frame + _trailer(frame)


def read_archive(path: Path) -> dict[str, bytes]:
    """The files in the archive at ``path``; BundleError as :func:`files_from_archive`, or when it cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}; name a .tar.zst of 'mmrphys bundle sign --pack'") from error
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise BundleError(f"{path}: not a plain file; name a .tar.zst of 'mmrphys bundle sign --pack'")
        check_total(facts.st_size, path)
        return files_from_archive(file.read(MAX_BUNDLE_BYTES + 1), path)


def files_from_archive(data: bytes, place: Path) -> dict[str, bytes]:
    """The files of an archive by name; ``place`` is for messages.

    Raises
    ------
    BundleError
        It is damaged, holds anything but plain files with names of bundle files, or is larger than a bundle may be,
        which is found out without unpacking more than that.
    """
    frame, trailer = data[:-_TRAILER_BYTES], data[-_TRAILER_BYTES:]
    if trailer != _trailer(frame):
        seen = "damaged" if trailer.startswith(_SKIPPABLE) else "cut short, or not made by 'mmrphys bundle sign --pack'"
        raise BundleError(f"{place}: {seen}; copy the archive again")
    packed = _unpacked(frame, place)
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive:
            files = _members(archive, place)
    except tarfile.TarError as error:
        raise BundleError(f"{place}: not a tar of a bundle ({first_line(error)}); pack it anew") from error
    if _tar(files) != packed:
        raise BundleError(f"{place}: a tar that says more than its files do; pack it with 'mmrphys bundle sign --pack'")
    return files


def _trailer(frame: bytes) -> bytes:
    return _SKIPPABLE + _DIGEST_BYTES.to_bytes(4, "little") + hashlib.sha256(frame).digest()


def _tar(files: Mapping[str, bytes]) -> bytes:
    """One tar for one set of files: no times, owners or modes of this machine."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def _unpacked(frame: bytes, place: Path) -> bytes:
    """What the one zstd frame holds, up to the largest tar of a bundle."""
    try:
        claimed = zstandard.get_frame_parameters(frame).content_size
        if claimed != zstandard.CONTENTSIZE_UNKNOWN:
            check_total(claimed - _MAX_TAR_BYTES + MAX_BUNDLE_BYTES, place)
        unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        with unpacker.stream_reader(frame, read_across_frames=False) as reader:
            packed: bytes = reader.read(_MAX_TAR_BYTES + 1)
    except zstandard.ZstdError as error:
        raise BundleError(f"{place}: zstd cannot unpack it ({first_line(error)}); pack it anew") from error
    check_total(len(packed) - _MAX_TAR_BYTES + MAX_BUNDLE_BYTES, place)
    return packed


def _members(archive: tarfile.TarFile, place: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for member in archive:
        _check_member(member, place)
        if member.name in files or len(files) >= MAX_FILES:
            raise BundleError(f"{place}: {member.name!a} is there twice, or one of too many; pack it anew")
        content = archive.extractfile(member)
        assert content is not None, "a plain file, as was checked"
        files[member.name] = content.read(MAX_FILE_BYTES + 1)
    return files


def _check_member(member: tarfile.TarInfo, place: Path) -> None:
    """A plain file of a flat folder; where this Python has the standard library's filter, in its eyes too."""
    if member.type not in {tarfile.REGTYPE, tarfile.AREGTYPE} or member.issparse():
        raise BundleError(f"{place}: {member.name!a} is a link, folder or device, wanted plain files; pack it anew")
    if not FILE_NAME.fullmatch(member.name):
        raise BundleError(f"{place}: {member.name!a} is no name for a bundle file; pack it anew")
    if member.size > MAX_FILE_BYTES:
        raise BundleError(f"{place}: {member.name!a} has {member.size} bytes, wanted at most {MAX_FILE_BYTES}")
    if hasattr(tarfile, "data_filter"):  # from Python 3.10.12 and 3.11.4 on
        try:
            tarfile.data_filter(member, str(place.parent))
        except tarfile.FilterError as error:
            raise BundleError(f"{place}: {member.name!a} is refused ({first_line(error)}); pack it anew") from error
