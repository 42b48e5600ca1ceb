"""A network camera on loopback: RTSP (RFC 2326) with H.264 over interleaved RTP (RFC 6184), as IP cameras speak it.

Tests say when a picture is sent, with which RTP time, and when the connection is cut.
"""

from __future__ import annotations

import base64
import queue
import re
import socket
import struct
import threading
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RtspCamera", "h264_pictures"]

CLOCK_HZ = 90_000
_CHUNK = 1200
CUT = None


def h264_pictures(count: int, width: int = 64, height: int = 48) -> list[list[bytes]]:
    """NAL units of each picture; every tenth can be decoded without those before, and each is gray of another level."""
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 30), Fraction(30)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "10", "x264-params": "repeat-headers=1"}
    pictures = []
    for number in range(count):
        image = np.full((height, width, 3), 40 + 10 * (number % 20), np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = number
        data = b"".join(bytes(packet) for packet in encoder.encode(frame))
        pictures.append([unit for unit in re.split(rb"\x00?\x00\x00\x01", data) if unit])
    return pictures


class RtspCamera:
    """One client at a time. ``send`` queues a picture for whoever is connected, or who connects next."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/face"
        self.connections = 0
        self._pictures: queue.Queue[tuple[list[bytes], int] | None] = queue.Queue()
        self._parameters = [unit for unit in h264_pictures(1)[0] if unit[0] & 0x1F in (7, 8)]
        self._sequence = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        self._pictures.put(CUT)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5.0)

    def send(self, picture: list[bytes], rtp_time: int) -> None:
        """Queue one picture."""
        self._pictures.put((picture, rtp_time % 2**32))

    def cut(self) -> None:
        """Queue the end of this connection, without a word."""
        self._pictures.put(CUT)

    def _serve(self) -> None:
        while not self._stopped:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with client:
                try:
                    if self._talk(client):
                        self._play(client)
                except OSError:  # the client hung up
                    continue

    def _talk(self, client: socket.socket) -> bool:
        """Answer requests up to PLAY; False when the client leaves before."""
        stream = client.makefile("rb")
        while True:
            head = []
            while (line := stream.readline().decode().strip()) or not head:
                if not line:
                    return False
                head.append(line)
            method = head[0].split()[0]
            sequence = next(line.split(":")[1].strip() for line in head if line.lower().startswith("cseq"))
            client.sendall(self._answer(method, sequence).encode())
            if method == "PLAY":
                return True

    def _answer(self, method: str, sequence: str) -> str:
        head, body = f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\nSession: 12345678\r\n", ""
        if method == "OPTIONS":
            head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "SETUP":
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        elif method == "DESCRIBE":
            sets = ",".join(base64.b64encode(unit).decode() for unit in self._parameters)
            body = (
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=face\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\n"
                f"a=rtpmap:96 H264/{CLOCK_HZ}\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\n"
                "a=control:track1\r\n"
            )
            head += f"Content-Base: {self.url}/\r\nContent-Type: application/sdp\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n{body}"

    def _play(self, client: socket.socket) -> None:
        while (item := self._pictures.get()) is not CUT:
            units, rtp_time = item
            for number, unit in enumerate(units):
                last = number == len(units) - 1
                for payload, end in _payloads(unit):
                    client.sendall(self._packet(payload, rtp_time, marker=last and end))

    def _packet(self, payload: bytes, rtp_time: int, *, marker: bool) -> bytes:
        self._sequence = (self._sequence + 1) % 2**16
        header = struct.pack(">BBHII", 0x80, 96 | marker << 7, self._sequence, rtp_time, 0x5EED)
        return struct.pack(">cBH", b"$", 0, len(header) + len(payload)) + header + payload


def _payloads(unit: bytes) -> list[tuple[bytes, bool]]:
    """A NAL unit as one RTP payload, or as fragments (FU-A) with the last one marked."""
    if len(unit) <= _CHUNK:
        return [(unit, True)]
    body = [unit[1:][place : place + _CHUNK] for place in range(0, len(unit) - 1, _CHUNK)]
    indicator, kind = unit[0] & 0xE0 | 28, unit[0] & 0x1F
    ends = [(number == 0) << 7 | (number == len(body) - 1) << 6 | kind for number in range(len(body))]
    return [(bytes([indicator, head]) + part, bool(head & 0x40)) for head, part in zip(ends, body, strict=True)]
