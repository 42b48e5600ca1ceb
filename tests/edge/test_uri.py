from __future__ import annotations

import msgspec
import pytest

from edge.cameras import camera_from_uri
from edge.errors import UsageError
from edge.uri import nearest, parse_uri, query_as, secrets_in, without_secrets


class Query(msgspec.Struct):
    hr: float = 70.0
    seed: int = 0
    loud: bool = False


class Tokens(Query):
    token: str = ""


def test_target_and_query_are_split_at_the_first_question_mark() -> None:
    uri = parse_uri("synthetic:?hr=72&rr=15", "camera", ["synthetic"])
    assert (uri.scheme, uri.target, dict(uri.query)) == ("synthetic", "", {"hr": "72", "rr": "15"})


def test_percent_escapes_allow_a_question_mark_in_a_path() -> None:
    assert parse_uri("video:/a%3Fb%20c.mp4", "camera", ["video"]).target == "/a?b c.mp4"


def test_the_query_of_a_network_camera_stays_with_the_camera() -> None:
    uri = parse_uri("video:rtsp://h/s?ch=1&sub=%20", "camera", ["video"])
    assert (uri.target, dict(uri.query)) == ("rtsp://h/s?ch=1&sub=%20", {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("synthetik:", "did you mean 'synthetic'"),
        ("face.mp4", "no known scheme"),
        ("lepton:/dev/video1", "a Lepton is a thermal camera"),
        ("synthetic:?seed=1&hr=1&hr=2", "synthetic: gives the parameter 'hr' twice"),
    ],
)
def test_a_camera_that_cannot_be_named_is_explained(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        camera_from_uri(text, "rgb")


@pytest.mark.parametrize("text", ["rtsps://user:s3cret@cam/x", "rtsps://user:s3#cr@et@cam/x?token=s3cret"])
def test_a_password_never_shows_in_a_message(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        camera_from_uri(text, "rgb")
    assert "'rtsps:' has no known scheme" in str(refused.value)
    assert "s3" not in str(refused.value)


def test_a_wrong_value_is_named_alone() -> None:
    with pytest.raises(UsageError) as refused:
        query_as(parse_uri("x:/a/b?hr=fast&seed=1&token=s3cret", "camera", ["x"]), Tokens)
    assert str(refused.value) == "x: hr=fast: Expected `float`"


def test_reserved_schemes_say_that_they_are_planned() -> None:
    with pytest.raises(UsageError, match="sink later: is planned and not built yet"):
        parse_uri("later:there", "sink", ["jsonl"], ["later"])


def test_a_bare_path_or_network_address_means_video() -> None:
    assert camera_from_uri("/tmp/a.mp4", "rgb").name == "video:/tmp/a.mp4"
    assert camera_from_uri("./a.mp4", "rgb").name == "video:./a.mp4"
    assert camera_from_uri("rtsp://h/s", "rgb").live


def test_query_values_take_the_types_of_the_struct() -> None:
    uri = parse_uri("x:?hr=71.5&seed=3&loud=true", "camera", ["x"])
    assert query_as(uri, Query) == Query(71.5, 3, loud=True)


@pytest.mark.parametrize(
    ("query", "says"), [("sede=3", "did you mean 'seed'"), ("seed=3.5", "seed"), ("hr=fast", "hr")]
)
def test_a_wrong_query_is_named(query: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        query_as(parse_uri(f"x:?{query}", "camera", ["x"]), Query)


def test_the_nearest_word_is_named_a_swap_of_letters_first() -> None:
    assert nearest("--rbg", ["--rgb", "--rig", "--zone"]) == "; did you mean '--rgb'?"
    assert nearest("zonne", ["zone", "mode"]) == "; did you mean 'zone'?"
    assert nearest("qqq", ["zone", "mode"]) == "; known: mode, zone"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("mqtt://bob:geheim@h:1883/site", "mqtt://bob:***@h:1883/site"),
        ("mqtt://bob:a:b@c@h:1883/site", "mqtt://bob:***@h:1883/site"),
        ("video:rtsp://u:p@h/s?Password=x&ch=1&token=y", "video:rtsp://u:***@h/s?Password=***&ch=1&token=***"),
        ("mqtts://h/site?user=bob&password_file=/etc/pw", "mqtts://h/site?user=bob&password_file=/etc/pw"),
        ("rtsp://u:p/a?ss#w@h/s", "rtsp://u:***@h/s"),
        ("mqtt://h:1883/site/a@b", "mqtt://h:1883/site/a@b"),
        ("jsonl:out:me@home.jsonl", "jsonl:out:me@home.jsonl"),
    ],
)
def test_passwords_are_hidden_and_nothing_else(text: str, safe: str) -> None:
    assert without_secrets(text) == safe


def test_the_passwords_of_a_uri_are_found_as_written() -> None:
    assert secrets_in("video:rtsp://u:p%40x@h/s?token=y&ch=1") == ["p%40x", "y"]
    assert secrets_in("mqtts://h:8883/site?user=bob&password_file=/etc/pw") == []
