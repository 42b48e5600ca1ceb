from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.cli import main

VOID = {"meta", "br", "hr"}


class Page(HTMLParser):
    """Checks that elements nest, and keeps names, attributes and text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def measured(lab: Any, course: Any) -> list[str]:
    """A lively session, and the command for it."""
    lab.follow(course, np.arange(0.3, 400.0))
    lab.refer(np.arange(-200.0, 600.0), course(np.arange(-200.0, 600.0)), ahead_s=37.4)
    return ["validate", str(lab.records), "--reference", str(lab.reference)]


def test_end_to_end(
    lab: Any, lively_course: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = measured(lab, lively_course)
    monkeypatch.chdir(tmp_path)
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "found by comparing the heart rates" in out
    assert out.splitlines()[-2:] == ["validate/validate.json", "validate/validate.html"]
    content = json.loads((tmp_path / "validate" / "validate.json").read_text())
    assert content["software"] == metadata.version("mmrphys-edge")
    assert content["records"]["sha256"] == hashlib.sha256(lab.records.read_bytes()).hexdigest()
    assert content["reference"]["sha256"] == hashlib.sha256(lab.reference.read_bytes()).hexdigest()
    assert content["records"]["bundles"] == ["sha256:ab"]
    assert content["offset"]["used_s"] == pytest.approx(37.4, abs=1.0)
    assert content["rates"]["hr"]["overall"]["published"]["agreement"]["rmse"] < 1.0
    assert content["narrow_limits_per_min"] == {"rr": 2.0}
    shown = {rate: content["rates"][rate]["overall"]["published"]["agreement"] for rate in ("hr", "rr")}
    assert shown["hr"]["within_tenth"] == 1.0
    assert shown["hr"]["within_narrow"] is None
    assert content["rates"]["rr"]["reasons"][0] == {
        "code": "motion", "looks": 400, "share": 1.0, "sentence": "the head moves", "fix": "keep still; rest the head",
    }  # fmt: skip
    assert content["notice"] == "research use, not a medical device"


def test_json_on_stdout_is_the_file(lab: Any, lively_course: Any, capsys: pytest.CaptureFixture[str]) -> None:
    out = lab.records.parent / "deep" / "out"
    assert main([*measured(lab, lively_course), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((out / "validate.json").read_text())


def test_the_page_is_one_sound_file_that_asks_for_nothing(lab: Any, lively_course: Any) -> None:
    out = lab.records.parent / "out"
    assert main([*measured(lab, lively_course), "--out", str(out)]) == 0
    content = (out / "validate.html").read_text()
    page = Page(content)
    assert page.open == []
    assert {"svg", "table", "caption", "figcaption", "style"} <= page.names
    assert not {"script", "link", "img", "iframe", "object", "base", "form", "a"} & page.names
    assert not [
        name for name, _ in page.attributes if name in {"src", "href", "xlink:href", "style"} or name[:2] == "on"
    ]
    assert not re.search(r"https?:|url\(|@import|//", content.replace("<!DOCTYPE", ""))
    assert "Research use, not a medical device" in page.text
    assert page.text.count("within 10%") == 2
    assert page.text.count("within 2within 3within 10%") == 1  # RR alone has a narrower limit
    assert hashlib.sha256(lab.reference.read_bytes()).hexdigest() in page.text


def test_what_comes_from_files_cannot_become_markup(lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "<script>alert('x')</script>\"&[red]"
    lab.reference = lab.reference.with_name("<b>ref&amp;.csv")
    looks = [(float(i), lab.ok(70.0), lab.lost()) for i in range(100)]
    lab.run(looks, zone=evil, device="<i>kit", bundle_id="<u>'")
    lab.refer(np.arange(-5.0, 105.0), 70.0)
    out = lab.records.parent / "out"
    assert main(["validate", str(lab.records), "--reference", str(lab.reference), "--out", str(out)]) == 0
    assert "'x')</script>\"&[red]" in capsys.readouterr().out
    page = Page((out / "validate.html").read_text())
    assert not {"script", "i", "u"} & page.names
    assert f"Zone {evil}, person 0" in page.text
    assert "<i>kit against <b>ref&amp;.csv" in page.text
    assert json.loads((out / "validate.json").read_text())["records"]["zone"] == evil


def test_nothing_paired_is_exit_6_and_still_a_report(lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    lab.run([(float(i), lab.lost(), lab.lost()) for i in range(100)])
    lab.refer(np.arange(-5.0, 105.0), 70.0)
    out = lab.records.parent / "out"
    assert main(["validate", str(lab.records), "--reference", str(lab.reference), "--out", str(out), "--json"]) == 6
    printed, err = capsys.readouterr()
    assert err.startswith("mmrphys: no value of kit.jsonl that was ok has a reference in reference.csv")
    assert err.count("\n") == 1
    assert json.loads(printed)["rates"]["hr"]["overall"]["published"]["coverage"] == 0.0
    assert Page((out / "validate.html").read_text()).open == []


def test_a_reference_without_rates_is_exit_6(lab: Any) -> None:
    lab.run([(float(i), lab.ok(70.0), lab.ok(15.0)) for i in range(100)])
    lab.refer(np.arange(-5.0, 105.0), np.nan, np.nan)
    out = lab.records.parent / "out"
    assert main(["validate", str(lab.records), "--reference", str(lab.reference), "--out", str(out)]) == 6
    assert Page((out / "validate.html").read_text()).open == []


@pytest.mark.parametrize(
    ("records", "reference", "options", "code", "says"),
    [
        ("none.jsonl", None, "", 3, "none.jsonl cannot be read: No such file or directory; want records"),
        (None, "none.csv", "", 3, "none.csv cannot be read: No such file or directory; want a CSV"),
        ("empty", None, "", 3, "empty is empty; want records"),
        (None, "empty", "", 3, "empty is empty; want a CSV"),
        (None, "nocolumn", "", 3, "has no column hr; seen time, pulse"),
        (None, "backwards", "", 3, "backwards:4: time goes back by 2 s"),
        (None, "apart", "", 3, "no moment in common"),
        ("status", None, "", 3, "status holds no numerics records"),
        (None, None, "--zone bed-9", 2, "--zone bed-9: the records hold no such zone; seen main (100 looks)"),
        (None, None, "--person -1", 2, "--person"),
        (None, None, "--offset-s nan", 2, "--offset-s nan: want seconds"),
        (None, None, "--max-offset-s 0", 2, "--max-offset-s 0: want seconds above 0"),
        (None, None, "--offset-s 1 --max-offset-s 5", 2, "keep one of them"),
        (None, None, "--out empty/out", 2, "--out empty/out: Not a directory; name a folder"),
        (None, None, "--refrence x", 2, "did you mean '--reference'?"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_code(
    lab: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    records: str | None, reference: str | None, options: str, code: int, says: str,
) -> None:  # fmt: skip
    folder = lab.records.parent
    monkeypatch.chdir(folder)
    lab.run([(float(i), lab.ok(70.0), lab.lost()) for i in range(100)])
    lab.refer(np.arange(-5.0, 105.0), 70.0)
    status = '{"kind":"status","v":1,"device":"kit","boot":"0123456789abcdef","seq":0,"time":"2026-11-22T10:15:07.120Z"'
    files = {
        "empty": "", "nocolumn": "time,pulse\n1,70\n", "backwards": "time,hr\n1,70\n3,70\n1,70\n",
        "apart": "time,hr\n2020-01-01T00:00:00Z,70\n",
        "status": status + ',"clock":"free","mono_ns":1,"state":"online","reason":"started"}\n',
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(content)
    words = ["validate", records or lab.records.name, "--reference", reference or lab.reference.name, *options.split()]
    assert main(words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mmrphys: ")
    assert err.count("\n") == 1
    assert says in err
    assert not (folder / "validate").exists()


def test_help_names_every_option(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["validate", "--help"]) == 0
    shown = capsys.readouterr().out
    for option in ("RECORDS", "--reference", "--out", "--zone", "--person", "--offset-s", "--max-offset-s", "--json"):
        assert option in shown
