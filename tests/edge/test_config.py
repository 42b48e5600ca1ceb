from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import (
    Kit,
    check,
    device_from_host_name,
    kit_from_toml,
    merge,
    option_from_key,
    toml_from_kit,
    with_zones,
)
from edge.errors import UsageError
from edge.uri import without_secrets
from edge.zones import Zone


def kit_of(tmp_path: Path, text: str) -> Kit:
    path = tmp_path / "kit.toml"
    path.write_text(text, encoding="utf-8")
    return kit_from_toml(path)


def test_keys_left_out_have_their_defaults(tmp_path: Path) -> None:
    kit = kit_of(tmp_path, 'rgb = "synthetic:"\nhop_s = 2\n')
    assert kit == Kit(rgb="synthetic:", hop_s=2.0)
    assert (kit.sinks, kit.mode, kit.speed, kit.zone, kit.allow_plaintext) == (
        ("console:",),
        "exact",
        "realtime",
        "main",
        False,
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hopp_s = 1", r"kit.toml:1: hopp_s is no known key; did you mean 'hop_s'"),
        ("\n# why\nhop = 1", r"kit.toml:3: hop is no known key; did you mean 'hop_s'"),
        ("[rgb]\nuri = 'x'", r"kit.toml:1: rgb = .*`str"),
        ('zone = "a"\nmode = "strem"', r"kit.toml:2: mode = 'strem' is not known; did you mean 'stream'"),
        ("hop_s = 0", r"kit.toml:1: hop_s = 0: .*>= 0.1"),
        ("hop_s = 6.1", r"hop_s = 6.1: .*<= 6"),
        ("hop_s = nan", r"hop_s"),
        ("seconds = -3", r"seconds"),
        ("seconds = inf", r"seconds"),
        ('zone = "ward/7"', r"zone = 'ward/7': want letters, digits, - and _"),
        ('device_id = ""', r"device_id = '': want letters, digits, - and _"),
        ('zone = "a\\n"', r"zone"),
        ('sinks = "console:"', r"sinks"),
        ("allow_plaintext = 1", r"allow_plaintext"),
        ("[[zones]]\nname = 'a/b'", r"kit.toml:1: zones = .*"),
        ("zone = 'x'\n[[zones]]\nname = 'a'\nbox = [0, 0, 1]", r"kit.toml:2: zones = .*length 4"),
        ("[[zones]]\nname = 'a'\nbox = [0.5, 0, 0.5, 1]", r"zones = .*want left < right"),
        ("people = 0", r"people = 0: .*>= 1"),
        ('thermal_roi = "thermal"', r"thermal_roi = 'thermal' is not known"),
        ("rgb = ", r"kit.toml is no TOML: .*"),
        ("rgb = 1\nrgb = 2", r"kit.toml is no TOML: .*"),
    ],
)
def test_a_wrong_file_is_explained_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        kit_of(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"zone = '\xe4'")
    for path in (tmp_path / "gone.toml", tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(UsageError, match="cannot be read") as caught:
            kit_from_toml(path)
        assert str(caught.value).count(path.name) == 1  # and not again in the words of the system


def test_options_win_over_the_file_and_those_not_given_do_not() -> None:
    kit = Kit(rgb="synthetic:", sinks=("jsonl:a",), hop_s=2.0)
    merged = merge(kit, {"rgb": None, "sinks": [], "hop_s": 0.5, "zone": "bed-3", "seconds": None})
    assert merged == Kit(rgb="synthetic:", sinks=("jsonl:a",), hop_s=0.5, zone="bed-3")


def test_a_wrong_option_is_named_as_option() -> None:
    with pytest.raises(UsageError, match=r"^--hop = -1.0: "):
        merge(Kit(), {"hop_s": -1.0})
    with pytest.raises(UsageError, match=r"^--device-id = 'a b': want letters"):
        merge(Kit(), {"device_id": "a b"})


names = st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z")
kits = st.builds(
    Kit,
    rgb=st.text() | st.none(),
    thermal=st.text() | st.none(),
    bundle=st.text() | st.none(),
    sinks=st.lists(st.text(), min_size=1, max_size=3).map(tuple),
    mode=st.sampled_from(["exact", "stream"]),
    hop_s=st.floats(0.1, 6.0),
    speed=st.sampled_from(["realtime", "max"]),
    runtime=st.sampled_from(["auto", "onnxrt", "tensorrt"]),
    precision=st.sampled_from(["auto", "fp32", "fp16", "int8", "force-fp16", "force-int8"]),
    seconds=st.floats(1e-9, 1e9) | st.none(),
    device_id=names,
    zone=names,
    zones=st.lists(st.builds(Zone, name=names, box=st.just((0.0, 0.25, 0.5, 1.0))), max_size=2).map(tuple),
    people=st.integers(1, 16) | st.none(),
    detector=st.sampled_from(["haar", "yunet:/a b/c.onnx"]),
    thermal_roi=st.sampled_from(["rgb", "own"]),
    allow_plaintext=st.booleans(),
    pair_gate_ms=st.floats(1e-9, 1000.0),
)


@given(
    kit=kits.filter(
        lambda kit: all(
            without_secrets(uri) == uri for uri in (kit.rgb or "", kit.thermal or "", kit.bundle or "", *kit.sinks)
        )
    )
)
def test_what_is_printed_gives_the_same_kit_again(tmp_path_factory: pytest.TempPathFactory, kit: Kit) -> None:
    path = tmp_path_factory.getbasetemp() / "printed.toml"
    path.write_bytes(toml_from_kit(kit).encode())
    assert kit_from_toml(path) == kit


def test_what_is_printed_holds_no_password() -> None:
    kit = Kit(rgb="video:rtsp://ward:geheim@cam/1", sinks=("mqtt://bob:geheim@h/s", "jsonl:-"))
    assert "geheim" not in toml_from_kit(kit)
    assert 'sinks = ["mqtt://bob:***@h/s", "jsonl:-"]' in toml_from_kit(kit)


@pytest.mark.parametrize(
    ("kit", "says"),
    [
        (Kit(), "--rgb is missing"),
        (Kit(thermal="none"), "--rgb is missing"),
        (Kit(thermal="video:t.mkv"), "--thermal is given without --rgb"),
        (Kit(rgb="synthetic:?hr=60", thermal="synthetic:?hr=61"), "different scenes"),
        (Kit(rgb="synthetic:?hr=60", thermal="synthetic:"), "different scenes"),
        (Kit(rgb="synthetic:", zones=(Zone("a"), Zone("a"))), "zone a is given twice"),
        (Kit(rgb="synthetic:", zones=(Zone("a"), Zone("b", (0, 0, 0.5, 1)))), "zone b lies within zone a"),
        (Kit(rgb="synthetic:", thermal_roi="own", people=2), "--thermal-roi own with --people 2"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(kit: Kit, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check(kit)


@pytest.mark.parametrize(
    "kit",
    [
        Kit(rgb="synthetic:"),
        Kit(rgb="synthetic:", mode="stream"),
        Kit(rgb="synthetic:?hr=60&rr=12", thermal="synthetic:?rr=12&hr=60"),
        Kit(rgb="synthetic:", thermal="none", precision="fp32", runtime="onnxrt"),
        Kit(rgb="video:a.mp4", thermal="video:b.mkv"),
    ],
)
def test_keys_that_go_together_pass(kit: Kit) -> None:
    check(kit)


@given(st.text())
def test_any_host_name_gives_a_name_that_fits_a_topic(host: str) -> None:
    kit = merge(Kit(), {"device_id": device_from_host_name(host)})
    assert len(kit.device_id) <= 32


def test_the_device_name_is_short_and_stable() -> None:
    assert device_from_host_name("Ward 7.example.org") == "Ward-7"
    assert device_from_host_name("...") == "device"
    assert Kit().device_id == Kit().device_id


def test_zones_on_the_command_line_win_over_the_file(tmp_path: Path) -> None:
    file = kit_of(
        tmp_path, '[[zones]]\nname = "a"\nbox = [0, 0, 0.5, 1]\n[[zones]]\nname = "b"\nbox = [0.5, 0, 1, 1]\n'
    )
    assert [zone.name for zone in file.watched] == ["a", "b"]
    assert (file.most_people, Kit().most_people, Kit(people=3).most_people) == (2, 1, 3)
    assert with_zones(file, []) == file
    assert with_zones(file, ["bed"]) == Kit(zone="bed")
    assert with_zones(file, ["c=0,0,0.5,0.5"]).zones == (Zone("c", (0.0, 0.0, 0.5, 0.5)),)
    with pytest.raises(UsageError, match="lies within"):
        check(with_zones(Kit(rgb="synthetic:"), ["bed-1", "bed-2"]))


def test_every_key_has_an_option() -> None:
    assert [option_from_key(key) for key in ("hop_s", "sinks", "device_id", "rgb")] == [
        "--hop",
        "--sink",
        "--device-id",
        "--rgb",
    ]
