"""``mmrphys fleet`` against a real broker, with simulated kits and with the program itself."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fakes.broker import Listener, Mosquitto, free_port, until

from edge.cli import main
from edge.fleet.simulate import Plan, simulate
from edge.sinks.broker import Broker


@contextmanager
def kits_sending(mosquitto: Mosquitto, kits: int) -> Iterator[None]:
    stop = threading.Event()
    broker = Broker("mqtt", "127.0.0.1", mosquitto.port, "ward", outbox="memory")
    thread = threading.Thread(target=simulate, args=(Plan(kits, 600.0), broker, stop))
    ear = Listener(mosquitto.port, "vitals/1/ward/+/health")
    thread.start()
    try:
        until(lambda: len(ear.all()) >= kits, "the first health of all")
        yield
    finally:
        stop.set()
        thread.join()
        ear.stop()


def retain(mosquitto: Mosquitto, topic: str, payload: str) -> None:
    words = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(mosquitto.port), "-t", topic, "-m", payload, "-q", "1", "-r"]
    subprocess.run(words, check=True, timeout=15.0)


def fleet(mosquitto: Mosquitto, *words: str) -> int:
    return main(["fleet", f"mqtt://127.0.0.1:{mosquitto.port}/ward", *words])


def rows(text: str) -> dict[str, dict]:
    return {row["device"]: row for row in json.loads(text)["kits"]}


def test_kits_that_send_are_well_and_one_that_said_good_bye_is_not(mosquitto: Mosquitto, capsys) -> None:
    with kits_sending(mosquitto, 2):
        assert fleet(mosquitto, "--vitals", "--json") == 0
        found = rows(capsys.readouterr().out)
        assert [row["state"] for row in found.values()] == ["online"] * 2
        assert all(row["zones"] == ["bed"] and "bed" in row["vitals"] for row in found.values())
        retain(mosquitto, "vitals/1/ward/gone/status", "offline")
        assert fleet(mosquitto, "--vitals") == 1
        lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ward: 2 of 3 kits online"
    assert any(line.split()[:2] == ["gone", "offline"] for line in lines)


def test_a_kit_that_only_says_online_is_unheard(mosquitto: Mosquitto, capsys) -> None:
    retain(mosquitto, "vitals/1/ward/mute/status", "online")
    assert fleet(mosquitto, "--seconds", "1", "--json") == 1
    assert rows(capsys.readouterr().out)["mute"]["state"] == "unheard"


def test_the_program_itself_is_seen(mosquitto: Mosquitto, tmp_path, capsys) -> None:
    sink = f"mqtt://127.0.0.1:{mosquitto.port}/ward?outbox={tmp_path}"
    scene = "synthetic:?seconds=60&seed=1&width=320&height=240"
    words = ["run", "--rgb", scene, "--device-id", "kit-7", "--zone", "bed-1", "--sink", sink]
    ear = Listener(mosquitto.port, "vitals/1/ward/+/status")
    with subprocess.Popen([sys.executable, "-m", "edge", *words], stderr=subprocess.DEVNULL) as run:
        try:
            until(ear.all, "it to come online", 60.0)
            assert fleet(mosquitto, "--json") == 0
        finally:
            run.terminate()
            ear.stop()
    row = rows(capsys.readouterr().out)["kit-7"]
    assert (row["state"], row["zones"]) == ("online", ["bed-1"])
    assert row["bundle"].startswith("sha256:")
    assert row["vitals"] == {}


def test_no_broker_is_one_line_and_exit_code_3(capsys) -> None:
    assert main(["fleet", f"mqtt://127.0.0.1:{free_port()}/ward"]) == 3
    assert "no connection" in capsys.readouterr().err


def test_a_password_is_never_taken_from_the_command_line(capsys) -> None:
    assert main(["fleet", "mqtts://me:secret@broker/ward"]) == 2
    assert "secret" not in capsys.readouterr().err
