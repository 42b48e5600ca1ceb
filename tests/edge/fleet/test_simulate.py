"""Simulated kits against a real broker: everything arrives, whatever was cut and restarted."""

from __future__ import annotations

import json
import threading

import pytest
from fakes.broker import Listener, Mosquitto, free_port

from edge.cli import main
from edge.errors import InputError, UsageError
from edge.fleet.faults import Faults
from edge.fleet.simulate import Plan, simulate
from edge.sinks.broker import Broker

pytestmark = pytest.mark.scenes


def there(mosquitto: Mosquitto, **more: str) -> Broker:
    return Broker("mqtt", "127.0.0.1", mosquitto.port, "sim", **more)


def test_restarts_and_cuts_lose_nothing_and_leave_nothing_behind(mosquitto: Mosquitto) -> None:
    plan = Plan(kits=5, seconds=5.0, faults=Faults(restart_every_s=4.0, cut_every_s=2.0, cut_s=0.5), waves=True)
    outcome = simulate(plan, there(mosquitto), threading.Event())
    verdict = outcome.verdict
    assert outcome.restarts > 0
    assert outcome.cuts == 2
    assert verdict.numerics == verdict.waves // 2
    assert 20 <= verdict.numerics <= 25
    assert (verdict.lost, verdict.kept, verdict.strange) == (0, 0, 0)
    after = Listener(mosquitto.port, "vitals/#")
    after.say("vitals/1/sim/end/event", "x")
    while not after.on("/event"):
        pass
    assert [one.topic for one in after.all()] == ["vitals/1/sim/end/event"]
    after.stop()


def test_the_command_prints_what_a_program_can_read(mosquitto: Mosquitto, capsys) -> None:
    words = [
        "simulate",
        "--kits",
        "2",
        "--seconds",
        "1",
        "--broker",
        f"mqtt://127.0.0.1:{mosquitto.port}/sim",
        "--json",
    ]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["plan"]["kits"], found["verdict"]["lost"], found["verdict"]["numerics"]) == (2, 0, 2)


def test_a_stop_ends_it_early(mosquitto: Mosquitto) -> None:
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    outcome = simulate(Plan(kits=2, seconds=600.0), there(mosquitto), stop)
    assert outcome.took_s < 60.0
    assert outcome.verdict.clean


def test_without_a_broker_it_is_one_line() -> None:
    with pytest.raises(InputError, match="no connection"):
        simulate(Plan(1, 1.0), Broker("mqtt", "127.0.0.1", free_port(), "sim"), threading.Event())


def test_an_outbox_folder_that_cannot_be_is_refused(mosquitto: Mosquitto, tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="outbox"):
        simulate(Plan(2, 2.0), there(mosquitto, outbox=str(tmp_path / "file")), threading.Event())


def test_only_brokers_are_taken(capsys) -> None:
    assert main(["simulate", "--broker", "jsonl:x"]) == 2
    assert "mqtts://broker/site" in capsys.readouterr().err
