"""``kill -9`` of a whole ``mmrphys run`` while it writes, and the next one on the same folders: nothing taken is lost.

A run plays a video of a face, with two empty beds beside it, as fast as it can: about as many records as ten kits make.
It sends them to a real broker and, by a second sink, to a file that is the witness: a sink takes records in the order
of their numbers, so whatever stands in the file below the highest number that the outbox held or the broker heard had
been taken too. What the outbox holds is read from a copy of its files between a kill and the next start.
"""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from fakes.broker import until
from fakes.door import Door
from fakes.video_files import write_video
from faults.finding import Finding
from faults.ward import NO_BROKER, Key, broker, environment

from edge.cameras.scene import Scene, SceneParams, View
from edge.sinks.outbox_store import Store

__all__ = ["run"]

_FPS = 30
_SECONDS = 2
"""Of the scene, which is played again and again."""
_REPEATS = 120
_PATIENCE_S = 60.0


@dataclass
class Tally:
    """What all runs did: records by who they are, and how long each took until its first numbers.

    ``bare``: runs without a broker whose outbox held nothing of theirs afterwards.
    """

    in_file: set[Key] = field(default_factory=set)
    stored: set[Key] = field(default_factory=set)
    torn: int = 0
    start_s: list[float] = field(default_factory=list)
    ended: int = 0
    bare: int = 0


def run(folder: Path, *, full: bool) -> Finding:
    """100 runs killed up to 1.5 s after their first numbers, every third without a broker; short: one, without."""
    if NO_BROKER:
        return Finding(0, skipped=NO_BROKER)
    chance, rounds, tally, door = random.Random(8), 100 if full else 1, Tally(), Door()
    video = _video(folder / "bed.avi", repeats=_REPEATS if full else _REPEATS // 12)
    with broker(folder) as (server, witness):
        for number in range(rounds):
            away = number % 3 == 1 or not full
            if not away:
                door.open(server.port)
            made, stored = _kill_one(folder, video, door.port, chance.uniform(0.0, 1.5 if full else 0.3), tally)
            tally.bare += away and not made & stored
            door.shut()
        tally.stored |= set(_stored(folder))
        door.open(server.port)
        last = _start(folder, video, door.port)
        until(lambda: tally.stored <= set(witness.keys("numerics", "history", "event")), "all records", _PATIENCE_S)
        last.kill()
        last.wait()
        door.shut()
        came = witness.keys("numerics", "history", "event")
    return _finding(rounds, tally, came, len(list((folder / "outbox").glob("*.damaged*"))))


def _finding(rounds: int, tally: Tally, came: list[Key], damaged: int) -> Finding:
    heard = set(came)
    last = {}
    for boot, seq in tally.stored | heard:
        last[boot] = max(seq, last.get(boot, -1))
    by_file = {(boot, seq) for boot, seq in tally.in_file if seq <= last.get(boot, -1)}
    taken = by_file | tally.stored
    lost = len(taken - heard)
    figures = {
        "runs killed": rounds, "records in the file beside": len(tally.in_file),
        "of these taken before the kill": len(by_file),
        "read in the outbox after a kill": len(tally.stored), "lost": lost, "sent twice": len(came) - len(heard),
        "lines torn by a kill": tally.torn, "files damaged": damaged,
        "start to first numbers, median, s": round(statistics.median(tally.start_s), 2),
        "start to first numbers, most, s": round(max(tally.start_s), 2),
    }  # fmt: skip
    failures = [f"{lost} of {len(taken)} records lost"] * bool(lost) + [f"{damaged} files damaged"] * bool(damaged)
    failures += [f"{tally.ended} runs ended by themselves before they were killed"] * bool(tally.ended)
    failures += [f"{tally.bare} runs without a broker left nothing in the outbox"] * bool(tally.bare)
    failures += [f"{tally.torn} torn lines after {rounds} kills"] * (tally.torn > rounds)
    failures += ["no record was taken: nothing was tried"] * (len(by_file) < rounds)
    return Finding(rounds, figures, tuple(failures))


def _video(path: Path, repeats: int) -> Path:
    """A face whose colour has a pulse, in the middle third of a small picture."""
    scene = Scene(SceneParams(seed=7, seconds=_SECONDS + 1.0, nuisance=0.0))
    view = View.whole(320, 240)
    images = [scene.render_rgb([index / _FPS], view)[0] for index in range(_SECONDS * _FPS)]
    return write_video(path, images * repeats, codec="mjpeg", pixels="yuvj420p")


def _start(folder: Path, video: Path, port: int) -> subprocess.Popen[bytes]:
    zones = ("--zone=bed-1=0.2,0,0.8,1", "--zone=bed-2=0,0,0.2,1", "--zone=bed-3=0.8,0,1,1")
    sinks = (f"--sink=mqtt://127.0.0.1:{port}/ward?outbox={folder / 'outbox'}", f"--sink=jsonl:{folder / 'file.jsonl'}")
    words = ["run", f"--rgb=video:{video}", "--thermal=none", "--speed=max", *zones, *sinks]
    with (folder / "said.txt").open("ab") as said:
        return subprocess.Popen([sys.executable, "-m", "edge", *words], stdout=said, stderr=said, env=environment())


def _kill_one(folder: Path, video: Path, port: int, after_s: float, tally: Tally) -> tuple[set[Key], set[Key]]:
    """Gives what the run had in its file and what the outbox holds."""
    file = folder / "file.jsonl"
    before = file.stat().st_size if file.exists() else 0
    begin_s = time.monotonic()
    child = _start(folder, video, port)
    until(lambda: _has_numbers(file, before) or child.poll() is not None, "the first numbers", _PATIENCE_S)
    tally.start_s.append(time.monotonic() - begin_s)
    time.sleep(after_s)
    tally.ended += child.poll() is not None
    child.kill()
    child.wait()
    lines, stored = list(_in_file(file, before)), set(_stored(folder))
    made = {key for key in lines if key is not None}
    tally.torn += lines.count(None)
    tally.in_file |= made
    tally.stored |= stored
    return made, stored


def _has_numbers(file: Path, begin: int) -> bool:
    if not file.exists():
        return False
    with file.open("rb") as lines:
        lines.seek(begin)
        return b'"kind":"numerics"' in lines.read()


class _Envelope(msgspec.Struct):
    kind: str
    boot: str
    seq: int


def _in_file(file: Path, begin: int) -> Iterator[Key | None]:
    """Numerics and events of the file from byte ``begin`` on; None for a line that is torn."""
    with file.open("rb") as lines:
        lines.seek(begin)
        for line in filter(bytes.strip, lines):
            try:
                one = msgspec.json.decode(line, type=_Envelope)
            except msgspec.DecodeError:
                yield None
                continue
            if one.kind in ("numerics", "event"):
                yield one.boot, one.seq


def _stored(folder: Path) -> Iterator[Key]:
    """Who waits in the outbox, read from a copy, so that the next run finds what the kill left."""
    if not (folder / "outbox").exists():
        return
    copy = folder / "copy"
    shutil.copytree(folder / "outbox", copy)
    for file in copy.glob("*.outbox"):
        store = Store(file)
        store.open()
        for one in store.after(0, 10**6):
            envelope = msgspec.json.decode(one.payload, type=_Envelope)
            yield envelope.boot, envelope.seq
        store.close()
    shutil.rmtree(copy)
