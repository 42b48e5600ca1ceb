"""Whatever goes wrong, and however much is asked to be told: no secret, no name and no picture comes out."""

from __future__ import annotations

import base64
import logging
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.cameras import camera_from_uri
from edge.cli import main
from edge.frames import Frame
from edge.log_lines import ScrubbingFormatter

pytestmark = pytest.mark.scenes

SECRET = "s3cr3T"
SCENE = "synthetic:?seconds=3&width=320&height=240&seed=5"
ODD = [SECRET, f"a/{SECRET}", f"#{SECRET}", f"a?{SECRET}", f"a@{SECRET}", f"a b{SECRET}"]
"""Passwords that end, for a parser of URLs, before they end."""
SINKS = [
    "mqtt://kit:{}@127.0.0.1:1883/s",
    "mqtts://kit:{}@broker/s",
    "mqtt://kit:{}@127.0.0.1:99999/s",
    "mqtt:kit:{}@broker/s",
    "mqqt://kit:{}@127.0.0.1/s",
    "mqtt://127.0.0.1/s?user=kit&password={}",
    "jsonl:/nowhere/records?token={}",
    "serial:/dev/none?secret={}",
]
CAMERAS = [
    "rtsp://kit:{}@127.0.0.1:9/x",
    "video:rtsp://kit:{}@127.0.0.1:9/x",
    "video:/nowhere/x.mp4?token={}",
    "video:http://kit:{}@127.0.0.1:9/x.mp4",
    "http://kit:{}@127.0.0.1:9/",
    "lepton:rtsp://kit:{}@127.0.0.1:9/x",
    "v4l2:/dev/none?password={}",
    "gstreamer:rtspsrc location=rtsp://kit:{}@127.0.0.1:9/x user-pw={} ! decodebin",
]


def run(folder: Path, *words: str) -> tuple[int, str]:
    """Exit code of a process of its own, and all it wrote: to both outputs and into files."""
    done = subprocess.run(
        [sys.executable, "-m", "edge", "-v", "--debug", "run", *words], capture_output=True, timeout=120, check=False
    )
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return done.returncode, b"\n".join([done.stdout, done.stderr, *files]).decode(errors="replace")


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def first_frame(uri: str) -> bytes:
    camera = camera_from_uri(uri, "rgb")
    camera.open()
    try:
        frame = camera.read()
        assert isinstance(frame, Frame)
        return np.ascontiguousarray(frame.image).tobytes()
    finally:
        camera.close()


def test_a_run_whose_links_fail_says_nothing_of_secrets_names_or_pictures(tmp_path: Path) -> None:
    password, config, out = tmp_path / "password", tmp_path / "kit.toml", tmp_path / "out"
    out.mkdir()
    password.write_text(f"{SECRET}\n")
    password.chmod(0o600)
    broker = f"mqtt://127.0.0.1:{closed_port()}/ward?user=jane-roe&password_file={password}"
    config.write_text(
        f'# the bed of Jane Roe, {SECRET}\nrgb = "{SCENE}"\nspeed = "max"\nsinks = ["{broker}", "serial:/dev/none"]\n'
    )
    code, told = run(
        out,
        "--config",
        str(config),
        "--sink",
        broker,
        "--sink",
        "serial:/dev/none",
        "--sink",
        f"jsonl:{out / 'records'}",
    )
    assert code == 5  # what was accepted for the broker is lost with the run, and said
    assert "Traceback" in told
    assert '"kind":"numerics"' in told
    assert SECRET not in told
    assert "jane" not in told.lower()
    assert_no_picture(told, first_frame(SCENE))


def assert_no_picture(told: str, frame: bytes) -> None:
    """Not as bytes, hex, base64 or numbers: of several places of the frame, and nothing long without a word in it."""
    for place in range(0, len(frame) - 48, len(frame) // 40):
        piece = frame[place : place + 24]
        if len(set(piece)) < 6:
            continue  # an even wall is like much else
        forms = [piece.hex(), ", ".join(map(str, piece)), ",".join(map(str, piece))]
        forms += [base64.b64encode(frame[place + shift : place + shift + 24]).decode() for shift in range(3)]
        assert not [form for form in forms if form in told]
    assert not re.search(r"[A-Za-z0-9+/]{120,}", told)
    assert "array(" not in told


def test_a_camera_that_refuses_is_told_of_without_its_password(tmp_path: Path) -> None:
    uri = f"rtsp://kit:{SECRET}@127.0.0.1:{closed_port()}/x"
    code, told = run(tmp_path, "--rgb", uri, "--sink", f"jsonl:{tmp_path / 'records'}")
    assert code == 3
    assert "Traceback" in told
    assert "Connection refused: 'rtsp://kit:***@" in told  # FFmpeg's own words
    assert SECRET not in told


@pytest.mark.parametrize("password", ODD)
def test_no_form_of_a_wrong_uri_gives_its_password_away(
    password: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not one is right: each ends in an error, most of them on the way of a parser that cut the password in two."""
    sinks = [["--rgb", SCENE, "--sink", uri.replace("{}", password)] for uri in SINKS]
    cameras = [
        ["--rgb", uri.replace("{}", password), "--thermal", "none", "--sink", f"jsonl:{tmp_path / 'o'}"]
        for uri in CAMERAS
    ]
    unopened = [] if password in ODD[:2] else ["--bundle", "/nowhere"]
    for words in [[*one, *unopened] for one in [*sinks, *cameras]]:
        assert main(["--debug", "-v", "run", *words, "--check"]) in {0, 2, 3, 4}
        out, err = capfd.readouterr()
        assert SECRET not in out + err, words
        assert main(["run", *words, "--print-config"]) in {0, 2}
        out, err = capfd.readouterr()
        assert SECRET not in out + err, words


def _crash(*_: object, **__: object) -> None:
    cause = ValueError(f"rtsp://kit:{SECRET}@127.0.0.1/x")
    raise RuntimeError(f"mqtts://kit:a/{SECRET}@broker/ward?token={SECRET}\nand password={SECRET}") from cause


def test_a_crash_is_told_without_what_was_in_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edge.app.run_kit", _crash)
    for switches in ([], ["--debug"], ["-v", "--debug"]):
        assert main([*switches, "run", "--rgb", SCENE]) == 5
        out, err = capfd.readouterr()
        assert ("ValueError: rtsp://kit:***@127.0.0.1/x" in err) == bool(switches)
        assert "internal error: RuntimeError: mqtts://kit:***@broker" in err
        assert SECRET not in out + err


def test_what_libraries_log_is_scrubbed_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    try:
        _crash()
    except RuntimeError:
        logging.getLogger("any.library").exception("GET /?token=%s failed", SECRET)
    text = ScrubbingFormatter("%(levelname)s %(name)s: %(message)s").format(caplog.records[0])
    assert "ERROR any.library: GET /?token=***" in text
    assert "ValueError: rtsp://kit:***@127.0.0.1/x" in text
    assert SECRET not in text


def test_the_program_logs_through_the_scrubber() -> None:
    told = f"logging.getLogger('x').error('mqtt://kit:{SECRET}@broker/s')"
    program = f"import logging, edge.cli; edge.cli.main(['schema']); {told}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "ERROR x: mqtt://kit:***@broker/s\n"
