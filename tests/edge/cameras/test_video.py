"""Real files, written here through FFmpeg, read back through the camera."""

from __future__ import annotations

import itertools
import struct
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from fakes.video_files import write_video

from edge.cameras import camera_from_uri
from edge.cameras.video import VideoCamera
from edge.errors import InputError, UsageError
from edge.frames import Frame, FrameKind

SECOND = 10**9
RED, GREEN = (200, 30, 30), (30, 160, 60)


def picture(index: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Red top left quarter, green top right quarter, else a level that grows with the index, and some noise."""
    image = np.full((height, width, 3), 4 * index % 200, np.int16)
    image[: height // 2, : width // 2], image[: height // 2, width // 2 :] = RED, GREEN
    noise = np.random.default_rng(index).integers(-8, 9, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


def pictures(count: int, width: int = 64, height: int = 48) -> list[npt.NDArray[Any]]:
    return [picture(index, width, height) for index in range(count)]


def read_all(uri: str, kind: FrameKind = "rgb") -> tuple[list[Frame], Any, InputError | None]:
    """All frames, the camera (closed), and the error that ended the reading, if any."""
    camera: Any = camera_from_uri(uri, kind)
    frames: list[Frame] = []
    camera.open()
    try:
        while (frame := camera.read()) is not None:
            frames.append(frame)
    except InputError as error:
        return frames, camera, error
    finally:
        camera.close()
    return frames, camera, None


def stamps_of(frames: list[Frame]) -> list[int]:
    return [frame.pts_ns for frame in frames]


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "size"),
    [
        ("a.mp4", "libx264", "yuv420p", (64, 48)),
        ("a.avi", "mjpeg", "yuvj420p", (64, 48)),
        ("odd.mkv", "ffv1", "yuv444p", (65, 49)),
        ("odd.avi", "mjpeg", "yuvj422p", (67, 51)),
    ],
)
def test_every_frame_comes_once_with_its_colours_and_place(
    tmp_path: Path, name: str, codec: str, pixels: str, size: tuple[int, int]
) -> None:
    width, height = size
    images = pictures(45, width, height)
    frames, camera, error = read_all(str(write_video(tmp_path / name, images, codec=codec, pixels=pixels)))
    assert error is None
    assert (camera.live, camera.unordered, [f.seq for f in frames]) == (False, 0, list(range(45)))
    assert {f.clock for f in frames} == {"media"}
    for frame, image in zip(frames, images, strict=True):
        assert frame.image.shape == (height, width, 3)
        assert abs(frame.image.astype(float) - image).mean() < 12  # chroma is halved and noise compressed
        assert frame.image[3:15, 5:20].mean((0, 1)) == pytest.approx(RED, abs=10)


def test_frames_do_not_share_memory(tmp_path: Path) -> None:
    ramp = [np.full((48, 64), 1000 * index, np.uint16) for index in range(30)]
    path = write_video(tmp_path / "a.mkv", ramp, codec="ffv1", pixels="gray16le")
    frames, _, _ = read_all(str(path), "thermal")
    assert [int(frame.image[0, 0]) for frame in frames] == [1000 * index for index in range(30)]


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(30000, 1001), Fraction(5)])
def test_stamps_of_a_constant_rate_are_exact(tmp_path: Path, rate: Fraction) -> None:
    frames, _, error = read_all(str(write_video(tmp_path / "a.mp4", pictures(40), rate=rate)))
    assert error is None
    assert stamps_of(frames) == [round(index / rate * SECOND) for index in range(40)]


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv"])
def test_a_variable_rate_is_seen_as_it_is(tmp_path: Path, name: str) -> None:
    pts_ms = list(np.cumsum(np.random.default_rng(3).integers(20, 180, 40)))  # neither even nor starting at zero
    path = write_video(tmp_path / name, pictures(40), pts=[int(ms) for ms in pts_ms])
    frames, _, error = read_all(str(path))
    assert error is None
    # An .mp4 has ticks of its own (1/16000 s), so a millisecond is kept to half a tick.
    assert np.array(stamps_of(frames)) == pytest.approx(np.array(pts_ms) * 10**6, abs=32_000)


def with_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Overwrite the track's matrix (ISO 14496-12 8.3.2): a pixel (p, q) is shown at (a p + c q, b p + d q)."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version and flags; times, id, duration; reserved; layer, volume
    values = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    assert struct.unpack_from(">9i", data, matrix) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, matrix, *values)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("matrix", "shape", "red", "green"),
    [
        ((1, 0, 0, 1), (48, 64), "top left", "top right"),
        ((0, 1, -1, 0), (64, 48), "top right", "bottom right"),  # shown turned clockwise, as phones write it
        ((-1, 0, 0, -1), (48, 64), "bottom right", "bottom left"),
        ((0, -1, 1, 0), (64, 48), "bottom left", "top left"),
    ],
)
def test_rotation_metadata_is_applied(
    tmp_path: Path, matrix: tuple[int, int, int, int], shape: tuple[int, int], red: str, green: str
) -> None:
    path = with_display_matrix(write_video(tmp_path / "a.mp4", pictures(5)), *matrix)
    frames, _, _ = read_all(str(path))
    for frame in frames:
        assert frame.image.shape[:2] == shape
        assert quarter(frame.image, red).mean((0, 1)) == pytest.approx(RED, abs=10)
        assert quarter(frame.image, green).mean((0, 1)) == pytest.approx(GREEN, abs=10)


def quarter(image: npt.NDArray[Any], where: str) -> npt.NDArray[Any]:
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    half = image[:rows] if "top" in where else image[rows:]
    part = half[:, :columns] if "left" in where else half[:, columns:]
    return part[4:-4, 4:-4]


def place_of_packet(path: Path, index: int) -> tuple[int, int]:
    """Byte position and size of a picture's data, in the order of the file."""
    with av.open(str(path)) as container:
        packet = list(container.demux(video=0))[index]
        assert packet.pos is not None
        return packet.pos, packet.size


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("a.mp4", "libx264", "yuv420p"), ("a.avi", "mjpeg", "yuvj420p"), ("a.mkv", "ffv1", "yuv444p")],
)
def test_a_truncated_file_gives_its_frames_and_then_says_so(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    path = write_video(tmp_path / name, pictures(90), codec=codec, pixels=pixels, front=name.endswith(".mp4"))
    whole, _, none = read_all(str(path))
    assert (len(whole), none) == (90, None)
    position, size = place_of_packet(path, 50)
    path.write_bytes(path.read_bytes()[: position + size // 2])
    frames, _, error = read_all(str(path))
    assert_fifty_as_before(frames, whole)
    assert error is not None
    assert f"ended after {frames[-1].pts_ns / SECOND + 1 / 30:.1f} s of" in str(error)


def overwrite_packet(path: Path, index: int) -> None:
    data = bytearray(path.read_bytes())
    position, size = place_of_packet(path, index)
    data[position : position + size] = bytes(size)
    path.write_bytes(data)


def test_damage_in_the_middle_ends_the_file_after_what_came_before(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(90), front=True)
    whole, _, _ = read_all(str(path))
    overwrite_packet(path, 50)
    frames, _, error = read_all(str(path))
    assert_fifty_as_before(frames, whole)
    assert error is not None
    assert "of 3.0 s declared (Invalid data" in str(error)


def assert_fifty_as_before(frames: list[Frame], whole: list[Frame]) -> None:
    """The first fifty pictures of the file are there (H.264 stores them in another order), and as they were."""
    assert len(frames) == 50
    before = {frame.pts_ns: frame.image for frame in whole}
    assert all(np.array_equal(frame.image, before[frame.pts_ns]) for frame in frames)


def test_a_truncated_file_with_its_index_at_the_end_cannot_be_opened(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(30))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cannot be opened as video.*check that it is whole"):
        read_all(str(path))


def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("a letter, not a film\n" * 50)
    for name, seen in [
        ("gone.mp4", "no such file"),
        ("", "is a folder"),
        ("empty.mp4", "cannot"),
        ("text.mp4", "cannot"),
    ]:
        with pytest.raises(InputError, match=seen) as caught:
            read_all(f"video:{tmp_path / name}")
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="video99 cannot be opened"):
        read_all("video:/dev/video99")


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(InputError, match="no pictures"):
        read_all(str(path))


def test_sixteen_bit_gray_is_a_thermal_camera(tmp_path: Path) -> None:
    skin = (np.arange(120 * 160).reshape(120, 160) % 500 + 30_500).astype(np.uint16)  # 31.85 to 36.85 degC
    path = write_video(tmp_path / "a.mkv", [skin] * 9, codec="ffv1", pixels="gray16le", rate=9)
    frames, _, error = read_all(str(path), "thermal")
    assert error is None
    assert len(frames) == 9
    for frame in frames:
        assert frame.image.dtype == np.uint16
        assert np.array_equal(frame.image, skin)
        assert frame.image[0, 0] * frame.scale_degc + frame.offset_degc == pytest.approx(31.85)


def test_the_scale_of_thermal_video_can_be_given(tmp_path: Path) -> None:
    image = np.full((12, 16), 20, np.uint16)
    path = write_video(tmp_path / "a.mkv", [image] * 2, codec="ffv1", pixels="gray16le")
    (frame, _), _, _ = read_all(f"video:{path}?scale=0.5&offset=25", "thermal")
    assert frame.image[0, 0] * frame.scale_degc + frame.offset_degc == 35.0


def test_eight_bit_video_is_no_thermal_camera(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(3))
    with pytest.raises(InputError, match=r"has yuv420p pictures; want 16-bit gray .* hold no temperatures"):
        read_all(str(path), "thermal")


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("video:/tmp/a.mp4?wdith=3", "did you mean 'width'"),
        ("video:/tmp/a.mp4?width=640&height=480", "parameter of capture devices"),
        ("video:/tmp/a.mp4?scale=0.1", "parameter of thermal cameras"),
        ("video:/dev/video0?width=640", "give both or neither"),
        ("video:/dev/video0?fps=-1", "fps"),
        ("video:", "names no file"),
    ],
)
def test_wrong_parameters_are_named(uri: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        camera_from_uri(uri, "rgb")


def test_devices_and_network_streams_are_live_and_keep_passwords_to_themselves() -> None:
    assert camera_from_uri("video:/dev/video0?width=640&height=480&fps=30&format=mjpeg", "rgb").live
    network = camera_from_uri("rtsp://ward:geheim@10.0.0.9/face?token=xyz", "rgb")
    assert network.live
    assert network.name == "video:rtsp://ward:***@10.0.0.9/face?token=***"


def read_as_live(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    """The frames of a file read as those of a device are, arriving 30 a second, since a test has no device."""
    arrivals_ns = itertools.count(5_000 * SECOND, SECOND // 30)
    monkeypatch.setattr("edge.cameras.video.time", SimpleNamespace(monotonic_ns=lambda: next(arrivals_ns)))
    camera = VideoCamera(str(path), "rgb")
    camera.live = True
    camera.open()
    try:
        return list(iter(camera.read, None))
    finally:
        camera.close()


def test_a_live_source_leaves_damaged_pictures_out_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.avi", pictures(90), codec="mjpeg", pixels="yuvj420p")
    for index in (48, 49, 63):
        overwrite_packet(path, index)
    frames = read_as_live(path, monkeypatch)
    assert {frame.clock for frame in frames} == {"monotonic_arrival"}
    assert [frame.seq for frame in frames] == [index for index in range(90) if index not in {48, 49, 63}]
    spacing_ns = np.diff([frame.pts_ns for frame in frames[:48]])
    assert spacing_ns == pytest.approx(SECOND / 30, abs=100)  # arrivals are some ns early, each a little more


def test_a_live_source_that_sends_damage_only_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.avi", pictures(90), codec="mjpeg", pixels="yuvj420p")
    for index in range(20, 90):
        overwrite_packet(path, index)
    with pytest.raises(InputError, match="damaged pictures only"):
        read_as_live(path, monkeypatch)


def test_a_closed_camera_can_be_closed_again_and_reopened(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(4))
    camera = camera_from_uri(str(path), "rgb")
    camera.close()
    for _ in range(2):
        camera.open()
        first = camera.read()
        assert first is not None
        assert (first.seq, first.pts_ns) == (0, 0)
        camera.close()
        camera.close()


def test_the_real_clip_is_read_whole(shared_dir: Path) -> None:
    frames, camera, error = read_all(str(shared_dir / "data" / "face.mp4"))
    assert (error, len(frames), camera.unordered) == (None, 301, 0)
    assert frames[0].image.shape == (592, 528, 3)
    assert stamps_of(frames) == [round(Fraction(index, 30) * SECOND) for index in range(301)]
