"""A network camera that is cut off and comes back: FFmpeg's own client against a server that speaks RTSP."""

from __future__ import annotations

import itertools
import logging
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fakes.rtsp_server import RtspCamera, h264_pictures

from edge.cameras import camera_from_uri
from edge.errors import InputError, SilentError
from edge.frames import Frame
from edge.loop import Ended, frames

SECOND = 10**9
PICTURES = h264_pictures(60)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The arrival of pictures, 30 a second unless moved on."""
    clock = SimpleNamespace(now_ns=5_000 * SECOND)

    def monotonic_ns() -> int:
        clock.now_ns += SECOND // 30
        return clock.now_ns

    monkeypatch.setattr("edge.cameras.video.time", SimpleNamespace(monotonic_ns=monotonic_ns))
    return clock


def taken(camera: Any, count: int) -> list[Frame]:
    """So many frames, with the turns between in which there was none."""
    found: list[Frame] = []
    while len(found) < count:
        try:
            found.append(camera.read())
        except SilentError:
            continue
    return found


def test_a_cut_stream_goes_on_in_number_and_time(clock: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    with RtspCamera() as server:
        for number, picture in enumerate(PICTURES):
            server.send(picture, 77_000 + 3_000 * number)
        server.cut()
        for number, picture in enumerate(PICTURES):
            server.send(picture, 4_000_000_000 + 3_000 * number)  # it starts anew, with another time
        camera = camera_from_uri(server.url, "rgb")
        camera.open()
        before = taken(camera, 56)
        clock.now_ns += 10 * SECOND
        after = taken(camera, 48)
        camera.close()
        camera.close()
    assert [frame.seq for frame in before + after] == list(range(104))
    assert {frame.clock for frame in before + after} == {"monotonic_arrival"}
    spacing_s = np.diff([frame.pts_ns for frame in before + after]) / SECOND
    assert spacing_s.min() > 0
    assert spacing_s[5:55] == pytest.approx(1 / 30, abs=1e-3)
    assert spacing_s[55] == pytest.approx(10, abs=0.2)
    assert [int(frame.image.mean()) for frame in before[:20]] == pytest.approx(
        [40 + 10 * (n % 20) for n in range(4, 24)], abs=3
    )
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert "the run goes on and waits for it" in warnings[0]
    assert "is back after" in warnings[1]


def test_what_waited_before_the_first_look_is_left_out(clock: SimpleNamespace) -> None:
    """Two seconds of pictures were in the buffers when reading began; then they come as they are taken."""
    with RtspCamera() as server:
        for number, picture in enumerate(PICTURES):
            server.send(picture, 3_000 * number)
        camera: Any = camera_from_uri(server.url, "rgb")
        camera.open()
        video = camera.session._connection
        held = video._backlog.holds

        def holds(own_ns: int | None, arrival_ns: int) -> bool:
            if own_ns is not None and own_ns < 1.3 * SECOND:
                clock.now_ns -= SECOND // 30 - SECOND // 1000
                arrival_ns = clock.now_ns
            return bool(held(own_ns, arrival_ns))

        video._backlog.holds = holds
        frames = taken(camera, 15)
        server.cut()
        camera.close()
    assert [frame.seq for frame in frames] == list(range(15))
    assert np.diff([frame.pts_ns for frame in frames]) / SECOND == pytest.approx(1 / 30, abs=1e-3)


def test_the_senders_time_wraps_without_a_gap(clock: SimpleNamespace) -> None:
    with RtspCamera() as server:
        for number, picture in enumerate(PICTURES):
            server.send(picture, 2**32 - 90_000 + 3_000 * number)  # at picture 30
        camera = camera_from_uri(server.url, "rgb")
        camera.open()
        spacing_s = np.diff([frame.pts_ns for frame in taken(camera, 54)]) / SECOND
        server.cut()
        camera.close()
    assert spacing_s[5:] == pytest.approx(1 / 30, abs=1e-3)


def test_drift_of_the_sender_is_followed_and_told(clock: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with RtspCamera() as server:
        for number, picture in enumerate(itertools.islice(itertools.cycle(PICTURES), 2_000)):
            server.send(picture, round(number * 3_000 * (1 - 150e-6)))
        camera: Any = camera_from_uri(server.url, "rgb")
        camera.open()
        stamps = [frame.pts_ns for frame in taken(camera, 1_990)]
        drift_ppm = camera.drift_ppm
        server.cut()
        camera.close()
    assert drift_ppm == pytest.approx(150, abs=5)
    assert (stamps[-1] - stamps[-301]) / SECOND == pytest.approx(10, abs=2e-4)
    assert "our clock runs +150 ppm against its own" in caplog.text


def test_who_does_not_answer_at_the_start_is_an_error() -> None:
    with RtspCamera() as server:
        gone = server.url
    with pytest.raises(InputError, match=r"cannot be opened as video: .* check cable and address"):
        camera_from_uri(gone, "rgb").open()


def test_the_loop_reads_through_a_cut_and_stops_when_told(clock: SimpleNamespace) -> None:
    """The reader thread itself: silence is no end, and a stop during it is obeyed."""
    stop = threading.Event()
    with RtspCamera() as server:
        for number, picture in enumerate(PICTURES[:40]):
            server.send(picture, 3_000 * number)
        server.cut()
        for number, picture in enumerate(PICTURES[:40]):
            server.send(picture, 3_000 * number)
        camera = camera_from_uri(server.url, "rgb")
        camera.open()
        numbers = []
        for item in frames([camera], realtime=False, stop=stop, idle_s=0.05):
            assert not isinstance(item, Ended)
            if item is not None:
                numbers.append(item.seq)
            if numbers and numbers[-1] >= 70:
                server.cut()
                stop.set()
    assert numbers == sorted(set(numbers))
    assert numbers[-1] >= 70
