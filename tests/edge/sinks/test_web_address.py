from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edge.errors import UsageError
from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.web.address import Address, address_from_uri
from edge.sinks.web.door import Door
from edge.uri import parse_uri

HERE = Address("127.0.0.1", 8080)
THERE = Address("0.0.0.0", 8080)
OURS = {"host": "127.0.0.1:8080"}


def address(text: str, *, allow_plaintext: bool = False) -> Address:
    return address_from_uri(parse_uri(text, "sink", ["web"]), allow_plaintext=allow_plaintext)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("web:", "127.0.0.1", 8080),
        ("web:127.0.0.1:9000", "127.0.0.1", 9000),
        ("web:[::1]:9000", "::1", 9000),
        ("web:localhost:0", "localhost", 0),
    ],
)
def test_on_loopback_an_address_is_enough(text, host, port):
    found = address(text)
    assert (found.host, found.port, found.local, found.needs_token) == (host, port, True, False)


@pytest.mark.parametrize("target", ["8080", "127.0.0.1", "127.0.0.1:web", "127.0.0.1:70000", ":8080"])
def test_what_is_no_address_is_refused_with_one_that_is(target):
    with pytest.raises(UsageError, match=r"write web:127\.0\.0\.1:8080"):
        address(f"web:{target}")


def test_other_machines_see_nothing_unencrypted_without_leave_and_nothing_without_token():
    with pytest.raises(UsageError, match=r"allow_plaintext = true.*\?plaintext=1"):
        address("web:0.0.0.0:8080")
    for accepted in (address("web:0.0.0.0:8080?plaintext=1"), address("web:0.0.0.0:8080", allow_plaintext=True)):
        assert accepted.needs_token
    assert address("web:192.0.2.7:8443?cert=a.pem&key=b.pem").needs_token


def test_a_token_is_also_needed_where_a_file_or_another_name_is_given():
    assert address("web:127.0.0.1:8080?token_file=t").needs_token
    assert address("web:127.0.0.1:8080?names=kit.ward.example,b").names == ("kit.ward.example", "b")
    assert address("web:127.0.0.1:8080?names=kit.ward.example").needs_token


def test_a_certificate_needs_its_key():
    with pytest.raises(UsageError, match="cert and key go together"):
        address("web:127.0.0.1:8080?cert=a.pem")


def test_a_token_in_the_uri_is_no_parameter_and_is_not_repeated():
    with pytest.raises(UsageError) as refused:
        sink_from_uri("web:127.0.0.1:8080?token=verysecretverysecret", SinkContext("kit-7"))
    assert "verysecret" not in str(refused.value)


def test_tokens_are_new_at_every_start_or_from_a_file_that_others_cannot_read(tmp_path: Path):
    assert HERE.token() != HERE.token()
    assert len(HERE.token()) >= 32
    file = tmp_path / "token"
    file.write_text("0123456789abcdef\n")
    file.chmod(0o600)
    own = Address("127.0.0.1", 8080, token_file=str(file))
    assert own.token() == "0123456789abcdef"
    file.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        own.token()
    file.chmod(0o600)
    for wrong in ("", "short", "fifteen letters", "zwölf und noch vier", "'\"<no-link-holds-these>", "a" * 257):
        file.write_text(wrong)
        with pytest.raises(UsageError, match="token file"):
            own.token()
    file.unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        own.token()


def test_links_hold_a_new_token_behind_the_hash_and_never_one_from_a_file(tmp_path: Path):
    assert THERE.links(8080, "s3cret") == [f"bedside page: http://{socket.gethostname()}:8080/#token=s3cret"]
    page, tunnel = HERE.links(8080, "s3cret")
    assert page == "bedside page: http://127.0.0.1:8080/"
    assert "ssh -L 8080:127.0.0.1:8080 " in tunnel
    own = Address("127.0.0.1", 8080, token_file=str(tmp_path / "token"))
    page = own.links(8080, "s3cret")[0]
    assert "s3cret" not in page
    assert page.endswith(f"/#token=  with line 1 of {tmp_path / 'token'} behind it")


def test_a_link_for_all_addresses_has_the_name_that_was_given_as_in_a_container():
    (page,) = Address("0.0.0.0", 8080, names=("localhost", "kit.ward.example")).links(8080, "s3cret")
    assert page == "bedside page: http://localhost:8080/#token=s3cret"


def test_a_place_that_is_taken_is_told():
    with HERE.__class__("127.0.0.1", 0).listen() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="choose another port"):
            Address("127.0.0.1", port).listen()


def test_unusable_certificates_are_told(tmp_path: Path):
    (tmp_path / "a.pem").write_text("no certificate")
    with pytest.raises(UsageError, match="unencrypted PEM"):
        Address("0.0.0.0", 0, str(tmp_path / "a.pem"), str(tmp_path / "a.pem")).tls()


@pytest.mark.parametrize(
    ("host", "on_loopback", "elsewhere"),
    [
        ("127.0.0.1:8080", True, True),
        ("localhost:9000", True, True),
        ("[::1]:8080", True, True),
        ("192.0.2.7:8080", False, True),
        (f"{socket.gethostname()}:8080", socket.gethostname() == "localhost", True),
        ("evil.example:8080", False, False),
        ("127.0.0.1.evil.example", False, False),
        ("localhost.evil.example", False, False),
        ("", False, False),
    ],
)
def test_only_names_that_nobody_else_can_point_here_are_known(host, on_loopback, elsewhere):
    assert Door(HERE, "t").known_name(host) == on_loopback
    assert Door(THERE, "t").known_name(host) == elsewhere


def test_a_name_that_was_given_is_known():
    assert Door(Address("127.0.0.1", 8080, names=("kit.ward.example",)), "t").known_name("kit.ward.example")


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        (None, True),
        ("http://127.0.0.1:8080", True),
        ("http://127.0.0.1:8081", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
        ("http://[", False),
    ],
)
def test_only_the_page_itself_may_ask_or_a_program(origin, same):
    headers = OURS if origin is None else {**OURS, "origin": origin}
    assert Door(HERE, "t").same_site(headers) == same


def test_who_brings_token_or_session_comes_in():
    door = Door(THERE, "t0ken-t0ken-t0ken")
    assert not door.admits(OURS, {}, "c")
    assert not door.admits({**OURS, "authorization": "Bearer t0ken-t0ken-t0keN"}, {}, "c")
    assert not door.admits({**OURS, "authorization": "Basic t0ken-t0ken-t0ken"}, {}, "c")
    assert not door.admits(OURS, {"c": "t0ken-t0ken-t0ken"}, "c")
    assert door.admits({**OURS, "authorization": "Bearer t0ken-t0ken-t0ken"}, {}, "c")
    assert door.admits(OURS, {"c": door.session}, "c")
    assert Door(HERE, "t").admits(OURS, {}, "c")


def test_programs_on_this_machine_need_no_token_unless_a_proxy_may_stand_there():
    assert Door(THERE, "t").admits_program(OURS, "127.0.0.1")
    assert not Door(THERE, "t").admits_program(OURS, "192.0.2.9")
    assert not Door(THERE, "t").admits_program({"host": "192.0.2.7:8080"}, "127.0.0.1")
    for guarded in (Address("127.0.0.1", 1, token_file="f"), Address("127.0.0.1", 1, names=("kit.example",))):
        assert not Door(guarded, "t").admits_program(OURS, "127.0.0.1")


@pytest.mark.parametrize("header", ["forwarded", "x-forwarded-for", "x-real-ip", "via"])
def test_behind_a_proxy_that_nobody_named_nobody_is_taken_for_this_machine(header):
    passed_on = {**OURS, header: "192.0.2.9"}
    assert Door(HERE, "t").unknown_proxy(passed_on)
    assert not Door(HERE, "t").unknown_proxy(OURS)
    assert not Door(Address("127.0.0.1", 1, names=("kit.example",)), "t").unknown_proxy(passed_on)
    assert not Door(THERE, "t").unknown_proxy(passed_on), "visitors' own proxies; the token is asked for"
    assert not Door(THERE, "t").admits_program(passed_on, "127.0.0.1")


def test_without_the_extra_one_line_names_it(tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['starlette'] = sys.modules['uvicorn'] = None\n")
    words = [sys.executable, "-m", "edge", "run", "--rgb", "synthetic:", "--sink", "web:"]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "pip install 'mmrphys-edge[web]'" in done.stderr
