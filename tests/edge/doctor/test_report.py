"""The report that leaves the house: whole, and without a secret wherever one was planted."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from edge.cli import main
from edge.config import Kit
from edge.doctor.redact import Scrubber, scrubber_for
from edge.sinks.console_text import line_from_record
from edge.sinks.factory import RecordFactory
from edge.vitals import Estimate, Vitals

SECRETS = {
    "camera": "c4mera/pa?ss#w@rd",
    "query": "qu3ry-t0ken",
    "file": "f1le-passw0rd",
    "environment": "env-s3cret-value",
    "journal": "j0urnal-passphrase",
    "bearer": "b3arer.abc.def",
    "record": "rec0rd-cam-pass",
}
ESTIMATE = Estimate(83.4, 0.8, "ok", (), 10.0, 0, 0.5)
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIplanted\n-----END EC PRIVATE KEY-----"


def records(path: Path) -> None:
    lines = [
        {"kind": "numerics", "hr": {"value": 71.8125}, "zone": "bed-1"},
        {"kind": "wave", "samples": [0.123456]},
        {"kind": "health", "seq": 7, "frames": {"rgb": 300}},
        {"kind": "meta", "cameras": {"rgb": f"video:rtsp://u:{SECRETS['record']}@cam/1"}},
        {"kind": "event", "code": "hr_state", "text": "ok -> hold"},
        {"kind": "event", "code": "input_broken", "text": f"password={SECRETS['query']}"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"kind": "health", "seq": 8, "fra')


def journal(folder: Path) -> None:
    """A journalctl that answers like the real one."""
    program = folder / "journalctl"
    text = f"2026-11-24 mmrphys[7]: authorization: Bearer {SECRETS['bearer']}; password: {SECRETS['journal']}\n{KEY}\n"
    look = Vitals(ESTIMATE, ESTIMATE, 7 * 10**9, "bed-1", 0, "exact", "sha256:ab", {"rgb": 30.0}, {"rgb": 0})
    printed = f"2026-11-24 mmrphys[7]: {line_from_record(RecordFactory('kit-7').numerics(look), look.pts_ns)}\n"
    (folder / "journal.txt").write_text(f"{text}{printed}2026-11-24 mmrphys[7]: the camera is back\n")
    program.write_text(f"#!/bin/sh\ncat '{folder / 'journal.txt'}'\n")
    program.chmod(0o755)


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kit with a secret in every place that may hold one."""
    password = tmp_path / "password"
    password.write_text(f"{SECRETS['file']}\n")
    password.chmod(0o600)
    records(tmp_path / "out.jsonl")
    journal(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("MMRPHYS_TEST_TOKEN", SECRETS["environment"])
    monkeypatch.setenv("HOME", str(tmp_path / "somebody"))
    kit = tmp_path / "kit.toml"
    kit.write_text(
        f'rgb = "video:rtsp://user:{SECRETS["camera"]}@127.0.0.1:1/stream?token={SECRETS["query"]}"\n'
        'thermal = "none"\n'
        f"# the password is {SECRETS['file']} and the token {SECRETS['environment']}\n"
        f'sinks = ["jsonl:{tmp_path / "out.jsonl"}", '
        f'"mqtt://127.0.0.1:1/ward?user=kit&password_file={password}"]\n'
    )
    return kit


def test_no_planted_secret_and_no_measurement_is_in_the_report_or_on_the_screen(
    planted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.zip"
    code = main(["doctor", "--config", str(planted), "--report", str(out)])
    assert code == 3  # the camera comes before the broker
    with zipfile.ZipFile(out) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    said = capfd.readouterr()
    everything = "\n".join([*files.values(), said.out, said.err])
    for where, secret in SECRETS.items():
        assert secret not in everything, where
    assert "MHcCAQEEIplanted" not in everything
    assert "71.8125" not in everything
    assert "83.4" in (tmp_path / "journal.txt").read_text()
    assert "83.4" not in everything
    assert "0.123456" not in everything
    assert set(files) == {
        "findings.json", "versions.json", "board.json", "kit.toml", "log.txt", "health.jsonl", "README.txt",
    }  # fmt: skip
    kinds = [json.loads(line)["kind"] for line in files["health.jsonl"].splitlines()]
    assert kinds == ["health", "meta", "event"]
    assert "the camera is back" in files["log.txt"]
    assert "of the last 300 lines of the journal" in files["README.txt"]
    assert "out.jsonl" in files["README.txt"]
    assert json.loads(files["versions.json"])["packages"]["numpy"]


def test_known_secrets_go_wherever_they_stand_and_the_rest_stays() -> None:
    kit = Kit(rgb="video:rtsp://u:p%40ss9@cam/1", sinks=("console:",))
    scrub = scrubber_for(kit, {"API_KEY": "k3y-value", "PATH": "/usr/bin", "HOME": "/home/nurse"})
    assert scrub("got p@ss9, p%40ss9 and k3y-value") == "got ***, *** and ***"
    assert scrub("/home/nurse/kit.toml /usr/bin") == "~/kit.toml /usr/bin"
    plain = "mqtt://127.0.0.1:1883/ward password_file=/etc/mmrphys/password user@host 3 tokens"
    assert scrub(plain) == plain


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("rtsp://admin:a/b@c?d@cam.local/1", "a/b@c?d"),
        ("rtsp://:s3cr3t@cam.local/1", "s3cr3t"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ('{"password": "in-json-1"}', "in-json-1"),
        ("PASSWORD=upper-1 next", "upper-1"),
        (f"a {KEY} b", "MHcCAQEEIplanted"),
    ],
)
def test_what_looks_like_a_secret_goes_too(text: str, secret: str) -> None:
    assert secret not in Scrubber([])(text)


def test_the_answer_as_json_and_a_place_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kit = tmp_path / "kit.toml"
    kit.write_text('rgb = "synthetic:?seconds=1&width=320&height=240"\nthermal = "none"\n')
    assert main(["doctor", "--config", str(kit), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["exit_code"] == 0
    assert {one["status"] for one in answer["findings"]} <= {"ok", "warn"}
    assert {one["check"] for one in answer["findings"]} >= {"software", "cameras", "bundle", "runtime", "clock"}
    assert main(["doctor", "--report", str(tmp_path / "no/r.zip")]) == 2
    assert "name a file in a folder you may write to" in capsys.readouterr().err


def test_the_words_fit_80_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert max(map(len, said)) <= 80
    assert said[-1].endswith("0 fail")
