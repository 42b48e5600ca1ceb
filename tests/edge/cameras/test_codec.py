"""What compression does to the pictures of the synthetic camera."""

from __future__ import annotations

import numpy as np
import pytest

from edge.cameras import camera_from_uri
from edge.cameras.codec import CodecName, codec_by_name
from edge.errors import UsageError

SCENE = "synthetic:?seconds=1&width=160&height=120&seed=4&nuisance=0.3"


def pictures(query: str) -> list[np.ndarray]:
    camera = camera_from_uri(SCENE + query, "rgb")
    camera.open()
    return [frame.image for frame in iter(camera.read, None)]


def error(seen: list[np.ndarray], raw: list[np.ndarray]) -> float:
    return float(np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(seen, raw, strict=True)]))


@pytest.mark.parametrize(
    ("good", "poor"),
    [("&codec=mjpeg&quality=95", "&codec=mjpeg&quality=20"), ("&codec=h264&kbit_s=4000", "&codec=h264&kbit_s=40")],
)
def test_a_compressed_scene_has_as_many_frames_and_loses_more_the_less_it_may_hold(good: str, poor: str) -> None:
    raw = pictures("")
    fine, coarse = pictures(good), pictures(poor)
    assert len(fine) == len(coarse) == len(raw) == 30
    assert {image.shape for image in coarse} == {(120, 160, 3)}
    assert 0.0 < error(fine, raw) < error(coarse, raw) < 20.0


@pytest.mark.parametrize("query", ["&codec=mjpeg&quality=60", "&codec=h264&kbit_s=300"])
def test_the_same_uri_gives_the_same_pixels(query: str) -> None:
    first, again = pictures(query), pictures(query)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_opening_again_starts_the_stream_again() -> None:
    camera = camera_from_uri(f"{SCENE}&codec=h264&kbit_s=200", "rgb")
    camera.open()
    first = [frame.image for frame in iter(camera.read, None)][:3]
    camera.open()
    again = [camera.read().image for _ in range(3)]  # type: ignore[union-attr]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_h264_keeps_about_to_its_bit_rate() -> None:
    """Measured at the encoder: the same pictures, coded by the codec's own settings."""
    codec = codec_by_name("h264", quality=1, kbit_s=150.0, fps=30.0)
    sizes = []
    rng = np.random.default_rng(1)
    codec.pass_through(np.zeros((120, 160, 3), np.uint8))
    encode = codec._encoder.encode  # type: ignore[attr-defined]

    class Counting:
        def encode(self, picture: object) -> list[object]:
            packets = encode(picture)
            sizes.extend(packet.size for packet in packets)
            return packets

    codec._encoder = Counting()  # type: ignore[attr-defined]
    for _ in range(120):
        codec.pass_through(rng.integers(90, 130, (120, 160, 3)).astype(np.uint8))
    assert 75 < sum(sizes) * 8 / 4.0 / 1000 < 300


@pytest.mark.parametrize("codec", ["mjpeg", "h264"])
def test_a_frozen_camera_sends_the_very_same_picture(codec: str) -> None:
    seen = pictures(f"&codec={codec}&freeze_at_s=0.5&freeze_s=0.3")
    assert all(np.array_equal(a, seen[15]) for a in seen[15:24])
    assert not np.array_equal(seen[14], seen[15])
    assert not np.array_equal(seen[23], seen[24])


def test_h264_wants_even_sides() -> None:
    with pytest.raises(UsageError, match="even sides; seen 161x120"):
        camera_from_uri("synthetic:?codec=h264&width=161&height=120", "rgb")


def test_an_unknown_codec_is_one_line_that_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match="codec"):
        camera_from_uri("synthetic:?codec=vp9", "rgb")


@pytest.mark.parametrize("name", ["raw", "mjpeg", "h264"])
def test_a_codec_gives_a_picture_for_each(name: CodecName) -> None:
    codec = codec_by_name(name, quality=80, kbit_s=500.0, fps=29.97)
    image = np.full((48, 64, 3), 120, np.uint8)
    seen = codec.pass_through(image)
    assert (seen.shape, seen.dtype) == (image.shape, np.uint8)
    assert np.abs(seen.astype(int) - 120).max() <= 4
