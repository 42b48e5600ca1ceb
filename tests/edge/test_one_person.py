"""One person in one place gives the records that it gave before several could be followed: ``one_person.json``.

The file was written by the program of that time, less the words of reasons, and less the code ``frozen`` where no face
was there: it told of a stopped picture when there was only nobody in it. Values may differ by the last digit they
are rounded to, since libraries and processors differ; everything else is equal.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge.cli import main
from edge.faces.track import FaceTracker, TrackerConfig

GOLDEN = json.loads(Path(__file__).with_name("one_person.json").read_text(encoding="utf-8"))


def told(rgb: str, out: Path, *options: str) -> list[list[Any]]:
    """What the records of a run say, in the order they were sent; waveforms by their place and length."""
    assert main(["run", "--rgb", rgb, *options, "--sink", f"jsonl:{out}", "--speed", "max"]) == 0
    rows: list[list[Any]] = []
    for record in map(json.loads, out.read_text().splitlines()):
        kind = record["kind"]
        place = [kind, record["seq"], record.get("zone"), record.get("person"), record.get("pts_ns")]
        if kind == "numerics":
            rates = [record[name] for name in ("hr", "rr")]
            rest = [[rate[key] for key in ("value", "state", "why", "window_s")] for rate in rates]
            place += [*rest, record["fps"], record["dropped"]]
        elif kind == "event":
            place += [record["code"], record["text"].partition(";")[0]]  # its reasons come with measured numbers
        elif kind == "wave":
            place += [record["wave"], record["t0_ns"], len(record["samples"])]
        rows.append(place)
    return rows


def near(seen: Any, wanted: Any) -> bool:
    if isinstance(wanted, float):
        return isinstance(seen, (int, float)) and abs(seen - wanted) <= 0.11
    if isinstance(wanted, list):
        return isinstance(seen, list) and len(seen) == len(wanted) and all(map(near, seen, wanted))
    if isinstance(wanted, dict):
        return isinstance(seen, dict) and seen.keys() == wanted.keys() and all(near(seen[k], wanted[k]) for k in wanted)
    return bool(seen == wanted)


@pytest.mark.scenes
@pytest.mark.parametrize("name", [pytest.param("demo", marks=pytest.mark.slow), *sorted(GOLDEN.keys() - {"demo"})])
def test_one_person_gives_the_records_of_before(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = partial(FaceTracker, config=TrackerConfig(confirm_after_s=0.2))  # a face was found a little later
    monkeypatch.setattr("edge.app.FaceTracker", then)
    golden = GOLDEN[name]
    rgb = golden["rgb"]
    if "{shared}" in rgb:
        rgb = rgb.format(shared=request.getfixturevalue("shared_dir"))
    seen = told(rgb, tmp_path / "out.jsonl", *golden["options"])
    assert len(seen) == len(golden["told"])
    different = [(row, wanted) for row, wanted in zip(seen, golden["told"], strict=True) if not near(row, wanted)]
    assert not different, different[0]
