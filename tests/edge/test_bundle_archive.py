from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from fakes.signed_bundles import small_files

from edge import bundle_archive
from edge.bundle import MAX_BUNDLE_BYTES, MAX_FILE_BYTES, MAX_FILES
from edge.bundle_archive import archive_from_files, files_from_archive, read_archive
from edge.errors import BundleError

PLACE = Path("bundle.tar.zst")
FEW = {"LICENSE": b"free", "manifest.json": b"{}", "window.onnx": bytes(range(256)) * 20}
Fill = Callable[[tarfile.TarFile], None]


def with_trailer(frame: bytes) -> bytes:
    """As somebody who knows the format would: the hash is right."""
    return frame + b"\x50\x2a\x4d\x18\x20\0\0\0" + hashlib.sha256(frame).digest()


def packed(tar: bytes) -> bytes:
    return with_trailer(zstandard.ZstdCompressor(level=1, write_checksum=True).compress(tar))


def archive(*fill: Fill, tar_format: int = tarfile.USTAR_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:", format=tar_format) as tar:
        for one in fill:
            one(tar)
    return packed(stream.getvalue())


def member(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> Fill:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        info.size = len(data) if kind == tarfile.REGTYPE else 0
        tar.addfile(info, io.BytesIO(data) if info.size else None)

    return add


def sparse(tar: tarfile.TarFile) -> None:
    info = tarfile.TarInfo("window.onnx")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1000000000000"}
    info.size = 1024
    tar.addfile(info, io.BytesIO(b"0\n".ljust(1024, b"\0")))


def test_a_bundle_goes_into_one_file_and_comes_out() -> None:
    files = small_files()
    data = archive_from_files(files)
    assert files_from_archive(data, PLACE) == files
    assert archive_from_files(dict(reversed(files.items()))) == data


def test_any_reader_of_zstd_and_tar_reads_it() -> None:
    data = archive_from_files(FEW)
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        tar = reader.read()
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        assert {info.name: opened.extractfile(info).read() for info in opened} == FEW  # type: ignore[union-attr]


def test_any_changed_byte_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    data, rng = archive_from_files(FEW), np.random.default_rng(17)
    monkeypatch.setattr(bundle_archive, "_unpacked", lambda *_: pytest.fail("unpacked a damaged archive"))
    for place in [*range(16), *range(len(data) - 48, len(data)), *rng.integers(len(data), size=5000).tolist()]:
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(BundleError, match="copy the archive again"):
            files_from_archive(bytes(changed), PLACE)


@pytest.mark.parametrize("length", [0, 1, 39, 40, 41, -1, -40, -41])
def test_a_cut_archive_is_refused(length: int) -> None:
    with pytest.raises(BundleError):
        files_from_archive(archive_from_files(FEW)[:length], PLACE)


def test_damage_with_a_mended_hash_gives_the_same_files_or_is_refused() -> None:
    data, rng, refused = archive_from_files(FEW)[:-40], np.random.default_rng(19), 0
    for place in rng.integers(len(data), size=300):
        changed = bytearray(data)
        changed[place] ^= int(rng.integers(1, 256))
        try:
            found = files_from_archive(with_trailer(bytes(changed)), PLACE)
        except BundleError:
            refused += 1
        else:
            assert found == FEW
    assert refused > 200


HOSTILE: dict[str, tuple[Fill, ...]] = {
    "symbolic link": (member("LICENSE", kind=tarfile.SYMTYPE, link="/etc/passwd"),),
    "hard link": (member("LICENSE", kind=tarfile.LNKTYPE, link="/etc/passwd"),),
    "link to a member": (member("a"), member("b", kind=tarfile.LNKTYPE, link="a")),
    "device": (member("LICENSE", kind=tarfile.CHRTYPE),),
    "block device": (member("LICENSE", kind=tarfile.BLKTYPE),),
    "pipe": (member("LICENSE", kind=tarfile.FIFOTYPE),),
    "folder": (member("folder", kind=tarfile.DIRTYPE),),
    "contiguous file": (member("LICENSE", kind=tarfile.CONTTYPE),),
    "unknown type": (member("LICENSE", kind=b"Z"),),
    "absolute path": (member("/etc/passwd"),),
    "path upwards": (member("../../etc/passwd"),),
    "path upwards inside": (member("a/../../b"),),
    "sub-folder": (member("a/b"),),
    "hidden": (member(".bashrc"),),
    "backslash": (member("..\\b"),),
    "empty name": (member(""),),
    "dot": (member("."),),
    "line break": (member("a\nb"),),
    "too long": (member("a" * 100), member("b" * 101 + ".onnx")),
    "twice": (member("a", b"1"), member("a", b"2")),
    "sparse": (sparse,),
    "sparse of GNU": (member("LICENSE", kind=tarfile.GNUTYPE_SPARSE),),
    "too many": tuple(member(f"f{number}") for number in range(MAX_FILES + 1)),
    "setuid and owner": (lambda tar: tar.addfile(_with(mode=0o4755, uid=0, uname="root")),),
    "time": (lambda tar: tar.addfile(_with(mtime=1)),),
}


def _with(**fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo("LICENSE")
    for name, value in fields.items():
        setattr(info, name, value)
    return info


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_a_bundle_has_no_use_for_is_refused(case: str, tar_format: int) -> None:
    if tar_format == tarfile.USTAR_FORMAT and case in {"too long", "sparse"}:
        pytest.skip("this form of tar cannot say it")
    data = archive(*HOSTILE[case], tar_format=tar_format)
    with pytest.raises(BundleError) as caught:
        files_from_archive(data, PLACE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("without_filter", [False, True])
def test_links_and_paths_are_refused_with_and_without_the_filter_of_the_standard_library(
    without_filter: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if without_filter:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    for case, says in (("symbolic link", "wanted plain files"), ("path upwards", "no name for a bundle file")):
        with pytest.raises(BundleError, match=says):
            files_from_archive(archive(*HOSTILE[case]), PLACE)
    assert files_from_archive(archive_from_files(FEW), PLACE) == FEW


def test_a_file_that_is_too_large_is_refused_by_its_header() -> None:
    info = tarfile.TarInfo("LICENSE")
    info.size = MAX_FILE_BYTES + 1
    with pytest.raises(BundleError, match=f"has {MAX_FILE_BYTES + 1} bytes"):
        files_from_archive(packed(info.tobuf(tarfile.USTAR_FORMAT) + b"\0" * 20_000), PLACE)


@pytest.mark.parametrize("claimed", [True, False])
def test_a_bomb_is_not_unpacked(claimed: bool) -> None:
    """A few kilobytes that say, or do not say, that they are more than a bundle may be."""
    size, block = MAX_BUNDLE_BYTES + 64 * 1024 * 1024, b"\0" * (16 * 1024 * 1024)
    press = zstandard.ZstdCompressor(level=1).compressobj(size=size if claimed else -1)
    frame = b"".join(press.compress(block) for _ in range(size // len(block))) + press.flush()
    assert len(frame) < 100_000
    with pytest.raises(BundleError, match="more than"):
        files_from_archive(with_trailer(frame), PLACE)


def test_a_frame_that_wants_much_memory_is_refused() -> None:
    press = zstandard.ZstdCompressor(level=1).compressobj()
    frame = bytearray(press.compress(b"x" * 1000) + press.flush())
    assert frame[4] & 0b0010_0000 == 0  # a window is named
    frame[5] = 21 << 3  # 2 GiB
    with pytest.raises(BundleError, match="zstd cannot unpack it"):
        files_from_archive(with_trailer(bytes(frame)), PLACE)


@pytest.mark.parametrize("tail", [b"\0" * 512, b"hidden", archive_from_files({"a": b""})])
def test_a_tar_with_more_behind_its_end_is_refused(tail: bytes) -> None:
    plain = zstandard.ZstdDecompressor().decompress(archive_from_files(FEW))
    with pytest.raises(BundleError, match="says more than its files do"):
        files_from_archive(packed(plain + tail), PLACE)


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100, b"\0" * 512, b"\xff" * 10240])
def test_what_is_no_tar_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError):
        files_from_archive(packed(content), PLACE)


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "other").write_bytes(b"whatever" * 100)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MAX_BUNDLE_BYTES + 1)
    for name, says in (("absent", "No such"), ("pipe", "plain"), ("other", "not made by"), ("large", "more than")):
        with pytest.raises(BundleError, match=says):
            read_archive(tmp_path / name)
