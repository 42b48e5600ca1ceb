"""Real Lepton recordings, and files that a stranger could send."""

from __future__ import annotations

import gzip
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from edge.cameras import camera_from_uri
from edge.clips.pairing import Pairer
from edge.errors import InputError, UsageError
from edge.frames import Frame, FramePair

pytestmark = pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated")  # in cptv


def frames_of(text: str) -> list[Frame]:
    camera = camera_from_uri(text, "thermal")
    camera.open()
    found = list(iter(camera.read, None))
    camera.close()
    return found


def field(kind: bytes, layout: str, value: float) -> bytes:
    data = struct.pack(f"<{layout}", value)
    return bytes([len(data)]) + kind + data


def head(width: int, height: int) -> bytes:
    fields = [field(b"T", "Q", 1_600_000_000_000_000), field(b"X", "I", width), field(b"Y", "I", height)]
    return b"CPTV\x02H" + bytes([len(fields) + 1]) + b"".join(fields) + field(b"C", "B", 1)


def picture(time_ms: int, ffc_ms: int, value: int, pixels: int, size: int | None = None) -> bytes:
    """A frame whose pixels all are ``value`` more than in the frame before: 8 bits a difference, all 0."""
    data = struct.pack("<i", value) + bytes(pixels - 1)
    fields = [field(b"t", "I", time_ms), field(b"c", "I", ffc_ms), field(b"w", "B", 8)]
    fields.append(field(b"f", "I", len(data) if size is None else size))
    return b"F" + bytes([len(fields)]) + b"".join(fields) + data


def written(path: Path, *parts: bytes) -> Path:
    path.write_bytes(gzip.compress(b"".join(parts)))
    return path


def test_stamps_are_the_cameras_own_and_the_shutter_is_marked(tmp_path: Path) -> None:
    times = [(5000, 1000), (5114, 1000), (7170, 6300), (7284, 6300), (7400, 6300)]
    parts = [picture(time, ffc, 30_000 if n == 0 else 1, 4 * 3) for n, (time, ffc) in enumerate(times)]
    path = written(tmp_path / "a.cptv", head(4, 3), *parts)
    found = frames_of(f"cptv:{path}?start_s=2")
    assert [(frame.pts_ns - 2 * 10**9) // 10**6 for frame in found] == [0, 114, 2170, 2284, 2400]
    assert [frame.shutter for frame in found] == [False, False, True, True, False]
    assert [frame.seq for frame in found] == [0, 1, 2, 3, 4]
    assert [int(frame.image[0, 0]) for frame in found] == [30_000, 30_001, 30_002, 30_003, 30_004]
    assert {frame.clock for frame in found} == {"media"}
    assert found[0].image.dtype == np.uint16
    assert found[0].image.shape == (3, 4)


def test_the_still_person_decodes_and_stands_upright(shared_dir: Path) -> None:
    path = shared_dir / "data/thermal/lepton-still-person.cptv"
    lying, upright = frames_of(f"cptv:{path}"), frames_of(f"cptv:{path}?rotate=90")
    assert len(lying) == len(upright) == 149
    assert (lying[0].image.shape, upright[0].image.shape) == ((120, 160), (160, 120))
    assert np.array_equal(np.rot90(upright[7].image), lying[7].image)
    stamps_s = [frame.pts_ns / 1e9 for frame in upright]
    assert stamps_s[0] == 0.0
    assert stamps_s[-1] == pytest.approx(16.88, abs=0.001)
    assert np.median(np.diff(stamps_s)) == pytest.approx(1 / 8.77, abs=1e-3)
    assert not any(frame.shutter for frame in upright)
    degc = upright[0].image * upright[0].scale_degc + upright[0].offset_degc
    assert 25.0 < degc.min() < degc.max() < 40.0


def test_the_shutter_pause_of_two_seconds_is_masked(shared_dir: Path) -> None:
    found = frames_of(f"cptv:{shared_dir / 'data/thermal/lepton-ffc-pause.cptv'}?rotate=90")
    assert len(found) == 188
    gaps_s = np.diff([frame.pts_ns for frame in found]) / 1e9
    (after,) = np.flatnonzero(gaps_s > 0.5) + 1
    assert gaps_s.max() == pytest.approx(2.053, abs=0.001)
    assert [n for n, frame in enumerate(found) if frame.shutter] == [after]
    pairs = paired(found, fps=30.0)
    pause = [pair for pair in pairs if found[after - 1].pts_ns < pair.rgb.pts_ns < found[after].pts_ns]
    assert len(pause) == 61
    near = [pair for pair in pause if pair.rgb.pts_ns - found[after - 1].pts_ns <= GATE_NS]
    assert {pair.thermal_absent for pair in near} == {""}
    assert {pair.thermal_absent for pair in pause if pair not in near} == {"gate", "shutter"}
    others = [pair for pair in pairs if pair not in pause]
    assert sum(pair.thermal is not None for pair in others) / len(others) > 0.98


GATE_NS = 80_000_000


def paired(thermal: list[Frame], fps: float) -> list[FramePair]:
    image = np.zeros((2, 2, 3), np.uint8)
    last = thermal[-1].pts_ns
    rgb = [Frame(image, round(n * 1e9 / fps), "media", n, "rgb") for n in range(int(last * fps / 1e9))]
    pairer = Pairer(GATE_NS, thermal=True)
    pairs = [pair for frame in sorted([*rgb, *thermal], key=lambda one: one.pts_ns) for pair in pairer.push(frame)]
    return [*pairs, *pairer.finish()]


def test_a_file_cut_or_changed_anywhere_gives_frames_or_one_line(shared_dir: Path, tmp_path: Path) -> None:
    data = (shared_dir / "data/thermal/lepton-still-person.cptv").read_bytes()[:120_000]
    seeded = random.Random(7)
    path = tmp_path / "a.cptv"
    for _ in range(30):
        place = seeded.randrange(len(data))
        path.write_bytes(data[:place])
        with pytest.raises(InputError) as refused:
            frames_of(f"cptv:{path}")
        assert "\n" not in str(refused.value)
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 + seeded.randrange(255))]) + data[place + 1 :])
        with pytest.raises(InputError):
            frames_of(f"cptv:{path}")


def test_what_came_before_the_cut_is_kept(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.cptv", head(4, 3), picture(0, 0, 1, 12), picture(100, 0, 1, 12)[:-3])
    camera = camera_from_uri(f"cptv:{whole}", "thermal")
    camera.open()
    assert camera.read() is not None
    with pytest.raises(
        InputError, match=r"is damaged after 1 frames .*it ends inside a frame.*what came before is kept"
    ):
        camera.read()
    camera.close()
    camera.close()


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ((b"RIFFxxxx",), "is no CPTV file"),
        ((head(70_000, 70_000),), "frames of 70000x70000; want at most 2048 a side"),
        ((head(0, 3),), "frames of 0x3"),
        ((head(4, 3), picture(0, 0, 1, 12, size=3_000_000_000)), "a frame of 3000000000 bytes"),
        ((head(4, 3), picture(0, 0, 1, 12, size=2)), "is damaged"),
        ((head(4, 3), b"X\x00"), "is damaged"),
        ((head(4, 3),), None),
    ],
)
def test_a_strangers_file_is_refused_in_one_line(parts: tuple[bytes, ...], told: str | None, tmp_path: Path) -> None:
    path = written(tmp_path / "a.cptv", *parts)
    if told is None:
        assert frames_of(f"cptv:{path}") == []
        return
    with pytest.raises(InputError) as refused:
        frames_of(f"cptv:{path}")
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_unpacks_without_end_is_stopped(tmp_path: Path) -> None:
    path = written(tmp_path / "bomb.cptv", head(4, 3), picture(0, 0, 1, 12, size=2**32 - 1), bytes(50_000_000))
    with pytest.raises(InputError, match="a frame of 4294967295 bytes"):
        frames_of(f"cptv:{path}")


def test_wrong_uses_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is thermal; give it as --thermal"):
        camera_from_uri("cptv:a.cptv", "rgb")
    with pytest.raises(UsageError, match="names no file"):
        camera_from_uri("cptv:", "thermal")
    with pytest.raises(UsageError, match="rotate=45"):
        camera_from_uri("cptv:a.cptv?rotate=45", "thermal")
    with pytest.raises(InputError, match="cannot be opened: No such file"):
        frames_of(f"cptv:{tmp_path / 'none.cptv'}")
