from __future__ import annotations

import io
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest

from edge.bundle import MAX_FILE_BYTES, SELFTEST, load_bundle
from edge.selftest import SelfTest, selftest_from_npz

FRAMES, SIZE = 61, 9
CLIP = (FRAMES, SIZE, SIZE)


def arrays(**changes: Any) -> dict[str, Any]:
    """What a sound file holds; a change to None takes an array out."""
    rng = np.random.default_rng(2)
    sound = {
        "rgb": rng.integers(0, 256, (1, 3, *CLIP), np.uint8),
        "thermal": rng.uniform(20, 40, (1, 1, *CLIP)).astype(np.float16),
        "bvp": rng.standard_normal((1, FRAMES - 1)).astype(np.float32),
        "rsp": rng.standard_normal((1, FRAMES - 1)).astype(np.float32),
    }
    return {name: array for name, array in (sound | changes).items() if array is not None}


def npz(held: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **held)
    return buffer.getvalue()


def archive(method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    """Any bytes as members, the sound ones where none is given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(npz(arrays()))) as sound, zipfile.ZipFile(buffer, "w", method) as made:
        for name in sound.namelist():
            made.writestr(name, members.get(name.removesuffix(".npy"), sound.read(name)))
    return buffer.getvalue()


def read(data: bytes) -> SelfTest:
    return selftest_from_npz(data, ("rgb", "thermal"), ("bvp", "rsp"), FRAMES, SIZE)


@pytest.mark.parametrize(("rgb", "thermal"), [(np.uint8, np.float16), (np.float32, np.float32)])
def test_what_is_stored_is_what_a_model_takes(rgb: Any, thermal: Any) -> None:
    held = arrays()
    held |= {"rgb": held["rgb"].astype(rgb), "thermal": held["thermal"].astype(thermal)}
    golden = read(npz(held))
    assert golden.frames.dtype == np.float32
    np.testing.assert_array_equal(golden.frames, np.concatenate([held["rgb"], held["thermal"]], axis=1))
    assert {name: array.dtype for name, array in golden.clip.items()} == {"rgb": rgb, "thermal": thermal}
    for task in ("bvp", "rsp"):
        np.testing.assert_array_equal(golden.waves[task], held[task])


def test_a_model_of_one_modality_and_task_has_that_much() -> None:
    held = arrays(rgb=None, rsp=None)
    golden = selftest_from_npz(npz(held), ("thermal",), ("bvp",), FRAMES, SIZE)
    assert (golden.frames.shape, list(golden.waves)) == ((1, 1, *CLIP), ["bvp"])


def test_column_major_arrays_are_read_as_they_are_meant() -> None:
    held = arrays(rgb=np.asfortranarray(arrays()["rgb"]))
    np.testing.assert_array_equal(read(npz(held)).frames[:, :3], held["rgb"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"thermal": None}, "holds 'bvp, rgb, rsp', wanted bvp, rsp, rgb, thermal"),
        ({"notes": np.zeros(3)}, "holds 'bvp, notes, rgb, rsp, thermal', wanted"),
        ({"rgb": np.zeros((1, 3, *CLIP))}, r"rgb is float64 .*, wanted uint8 or float32 \[1, 3, 61, 9, 9\]"),
        ({"rgb": np.zeros((1, 3, *CLIP), np.float16)}, "rgb is float16"),
        ({"thermal": np.zeros((1, 1, *CLIP), np.uint16)}, "thermal is uint16 .*, wanted float16 or float32"),
        ({"thermal": np.zeros((1, 1, *CLIP), ">f4")}, "thermal is >f4"),
        ({"bvp": np.zeros((1, FRAMES - 1))}, "bvp is float64 .*, wanted float32"),
        ({"bvp": np.zeros((1, FRAMES), np.float32)}, r"bvp is float32 \[1, 61\], wanted float32 \[1, 60\]"),
        ({"rsp": np.full((1, FRAMES - 1), np.nan, np.float32)}, "rsp has values that are not finite"),
        ({"thermal": np.full((1, 1, *CLIP), np.inf, np.float16)}, "thermal has values that are not finite"),
        ({"rsp": np.array([None])}, "rsp is object"),  # would need a pickle
    ],
)
def test_anything_else_is_refused_in_one_line(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        read(npz(arrays(**changes)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_cannot_be_unpacked_piece_by_piece_is_refused(method: int) -> None:
    with pytest.raises(ValueError, match="another method than deflate"):
        read(archive(method))


@pytest.mark.parametrize("says_so", [True, False])
def test_a_bomb_is_refused_before_it_is_unpacked(says_so: bool) -> None:
    size = 4 * MAX_FILE_BYTES
    data = bytearray(archive(rgb=bytes(size)))
    if not says_so:  # the directory lies about the unpacked size, which is stored as four bytes
        data = data.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bytes unpacked, wanted at most|magic|CRC"):
        read(bytes(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MAX_FILE_BYTES


def test_a_header_that_promises_more_than_there_is_takes_no_memory() -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1, 3, *CLIP)})
    with pytest.raises(ValueError, match="rgb is cut short"):
        read(archive(rgb=header.getvalue()))


def test_no_damage_ends_in_anything_but_a_refusal() -> None:
    """Bytes changed anywhere: in the directory, in a header, in what is packed."""
    rng = np.random.default_rng(11)
    refused = 0
    for whole in (archive(), archive(zipfile.ZIP_STORED)):
        for _ in range(150):
            data = bytearray(whole)
            for place in rng.integers(len(data), size=rng.integers(1, 40)):
                data[place] = rng.integers(256)
            try:
                read(bytes(data))
            except ValueError:
                refused += 1
    assert refused > 250


@pytest.mark.parametrize("text", ["{'descr': ", "{(", "{'descr': '<f4', 'shape': (" + "(" * 900, "\0", "L" * 50])
def test_headers_that_are_no_python_are_refused(text: str) -> None:
    data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
    with pytest.raises(ValueError, match=r"."):
        read(archive(rgb=data))


def test_the_default_bundle_has_one() -> None:
    bundle = load_bundle(None)
    golden = selftest_from_npz(bundle.files[SELFTEST], bundle.channels, bundle.tasks, bundle.frames, bundle.size)
    assert golden.frames.shape == (1, *bundle.input_shape)
