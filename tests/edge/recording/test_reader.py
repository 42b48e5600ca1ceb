"""Files that were made to harm, or by others."""

from __future__ import annotations

import contextlib
import random
import struct
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from fakes.recorded_run import Recorded
from mcap.data_stream import RecordBuilder
from mcap.records import Channel, Chunk
from mcap.records import Message as McapMessage
from mcap.writer import CompressionType, Writer

from edge.cameras import camera_from_uri
from edge.cli import main
from edge.errors import InputError
from edge.frames import Frame
from edge.recording.messages import FrameHead, Sighting, bytes_from_message, message_from_bytes
from edge.recording.reader import MAGIC, McapReader, Message
from edge.recording.replay import RecordedTracker, Recording


def record(opcode: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack("<BQ", opcode, len(body) if length is None else length) + body


def chunk(data: bytes, size: int, compression: str = "zstd", crc: int = 0) -> bytes:
    builder = RecordBuilder()
    Chunk(compression, data, 0, 0, crc, size).write(builder)
    return builder.end()


def message_record(body: bytes = b"x") -> bytes:
    builder = RecordBuilder()
    Channel(1, "/a", "json", {}, 0).write(builder)
    McapMessage(1, 0, body, 0, 0).write(builder)
    return builder.end()


def read(path: Path, *parts: bytes) -> list[Any]:
    path.write_bytes(MAGIC + b"".join(parts))
    return list(McapReader(path))


GIB = b"\0" * (1 << 20)
HARMFUL = {
    "a record longer than any": (record(5, b"", 1 << 60), "a record of 1152921504606846976 bytes"),
    "a chunk that claims much": (chunk(b"", 1 << 40), "a chunk of 1099511627776 bytes"),
    "a chunk that unpacks to more": (chunk(zstandard.compress(GIB), 10), "of 10 bytes that unpacks to 1048576"),
    "a stream without a size": (
        chunk(zstandard.ZstdCompressor(write_content_size=False).compress(GIB), 10),
        "",
    ),
    "another packing": (chunk(b"abc", 3, "lz4"), "packed by lz4; want zstd or none"),
    "a wrong checksum": (chunk(zstandard.compress(b"abc"), 3, crc=7), "whose checksum does not fit"),
    "no zstd": (chunk(b"abcdefgh", 3), ""),
    "a record out of its chunk": (chunk(record(5, b"", 1 << 40), 9, ""), "runs out of its chunk"),
    "a message of nowhere": (record(5, bytes(22)), "channel 0, which is not told"),
    "a short message": (record(5, bytes(5)), ""),
    "text that is none": (record(12, struct.pack("<I", 2) + b"\xff\xfe" + struct.pack("<I", 0)), ""),
    "channels without end": (
        b"".join(record(4, struct.pack("<HHIII", n, 0, 0, 0, 0)) for n in range(1030)),
        "more than 1024 channels",
    ),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_a_harmful_file_is_one_line_and_little_memory(name: str, tmp_path: Path) -> None:
    data, told = HARMFUL[name]
    tracemalloc.start()
    with pytest.raises(InputError) as refused:
        read(tmp_path / "a.mcap", data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told in str(refused.value)
    assert "is damaged at byte" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert peak < 8_000_000


def test_what_stands_before_the_damage_is_given_first(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    inner = message_record(b"first")
    path.write_bytes(
        MAGIC + chunk(zstandard.compress(inner), len(inner), crc=zlib.crc32(inner)) + chunk(b"zz", 2, "lz4")
    )
    reader = McapReader(path)
    items = iter(reader)
    first = next(items)
    assert isinstance(first, Message)
    assert (first.topic, first.data) == ("/a", b"first")
    with pytest.raises(InputError, match="mmrphys recover keeps what comes before"):
        next(items)
    assert not reader.complete


@pytest.mark.parametrize("compression", [CompressionType.NONE, CompressionType.ZSTD])
def test_a_file_of_others_is_read_and_is_no_recording(
    compression: CompressionType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = BytesIO()
    writer = Writer(out, compression=compression)
    writer.start()
    channel = writer.register_channel("/theirs", "json", 0)
    writer.add_message(channel, 5, b"{}", 4)
    writer.finish()
    path = tmp_path / "a.mcap"
    path.write_bytes(out.getvalue())
    (message,) = [item for item in McapReader(path) if isinstance(item, Message)]
    assert (message.topic, message.data, message.log_ns, message.publish_ns) == ("/theirs", b"{}", 5, 4)
    assert main(["replay", str(path), "--sink", f"jsonl:{tmp_path / 'x'}"]) == 3
    assert "holds no recording of a run; want a file of mmrphys record" in capsys.readouterr().err
    camera = camera_from_uri(f"mcap:{path}", "rgb")
    with pytest.raises(InputError, match="holds no rgb frames"):
        camera.open()


def test_a_changed_byte_never_gives_another_message(recorded: Recorded, tmp_path: Path) -> None:
    data = recorded.path.read_bytes()[:400_000]
    seeded = random.Random(2)
    path = tmp_path / "a.mcap"
    path.write_bytes(data)
    whole = [item for item in McapReader(path) if isinstance(item, Message)]
    for _ in range(60):
        place = seeded.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << seeded.randrange(8))]) + data[place + 1 :])
        found = []
        with contextlib.suppress(InputError):
            found.extend(item for item in McapReader(path) if isinstance(item, Message))
        assert found == whole[: len(found)], place


HEAD = {"pts_ns": 0, "clock": "media", "seq": 0, "kind": "rgb", "shape": [4, 5, 3], "dtype": "uint8", "pixels": True}


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [4, 5]},
        {"shape": [4, 5, 4]},
        {"shape": [32768, 32768, 3]},
        {"shape": [0, 5, 3]},
        {"shape": [-4, -5, 3]},
        {"dtype": "object"},
        {"dtype": "float32"},
        {"kind": "sonar"},
        {"pts_ns": 1 << 63},
        {"pts_ns": "0"},
        {"scale_degc": 1e300},
    ],
)
def test_a_head_that_no_frame_has_is_refused(change: dict[str, Any]) -> None:
    text = msgspec.json.encode({**HEAD, **change})
    with pytest.raises(InputError, match="a FrameHead message is damaged"):
        message_from_bytes(struct.pack("<I", len(text)) + text, FrameHead)


@pytest.mark.parametrize("data", [b"", b"\0", struct.pack("<I", 50) + b"{}", struct.pack("<I", 1 << 31) + b"{}"])
def test_a_short_message_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="is cut short"):
        message_from_bytes(data, FrameHead)


TRACK = {"person": 0, "box": {"x": 1.0, "y": 1.0, "w": 2.0, "h": 2.0}, "moved": True, "seen_ns": 0, "score": 1.0}


@pytest.mark.parametrize(
    "change",
    [
        {"crops": [[3, 0, 9, 2]]},
        {"crops": [[0, 3, 2, 9]]},
        {"crops": [[0, 0, 5, 4]]},
        {"crops": [[0, 0, 1, 1]] * 70},
        {"tracks": [{**TRACK, "box": {"x": 100.0, "y": 1.0, "w": 2.0, "h": 2.0}}]},
        {"tracks": [{**TRACK, "box": {"x": 1.0, "y": 1.0, "w": -2.0, "h": 2.0}}]},
        {"tracks": [{**TRACK, "person": -1}]},
    ],
)
def test_a_face_that_no_picture_has_is_refused(change: dict[str, Any], recorded: Recorded, tmp_path: Path) -> None:
    session = dict(next(item for item in McapReader(recorded.path) if not isinstance(item, Message)).pairs)
    sighting = {"pts_ns": 0, "detections": 0, "tracks": [], "crops": [], **change}
    text = msgspec.json.encode(sighting)
    path = tmp_path / "a.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        writer.add_metadata("mmrphys", session)
        for topic, data in (
            ("/rgb", bytes_from_message(msgspec.convert({**HEAD, "pixels": False}, FrameHead))),
            ("/faces", struct.pack("<I", len(text)) + text + bytes(12)),
        ):
            writer.add_message(writer.register_channel(topic, "mmrphys.1", 0), 0, data, 0)
        writer.finish()
    recording = Recording(path)
    tracker = RecordedTracker(recording)
    frame = next(recording.turns())
    assert isinstance(frame, Frame)
    with pytest.raises(InputError, match=r"a\.mcap: a "):
        tracker.step(frame)


def test_a_sighting_survives_the_way(recorded: Recorded) -> None:
    (first, *_) = [item for item in McapReader(recorded.path) if isinstance(item, Message) and item.topic == "/faces"]
    sighting, pixels = message_from_bytes(first.data, Sighting)
    text = bytes_from_message(sighting)
    assert first.data == text + pixels
