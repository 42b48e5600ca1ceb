"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.broker import Listener, Mosquitto, has_mosquitto
from fakes.door import Door
from hypothesis import settings

settings.register_profile("mmrphys", deadline=None)  # speed is printed by benchmarks, never asserted
settings.load_profile("mmrphys")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Real recordings and golden data that are not part of the product; tests that use them skip aloud without."""
    place = Path(__file__).resolve().parents[2] / "shared"
    if not place.is_dir():
        pytest.skip(f"no {place}: the real recordings are not beside this checkout")
    return place


@pytest.fixture(autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test leaves anything in the user's own state folder, nor finds what another left."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return folder


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Makes brokers that are not started yet; all are gone at the end."""
    if not has_mosquitto():
        pytest.skip("no mosquitto here: apt-get install mosquitto mosquitto-clients")
    made: list[Mosquitto] = []

    def make(options: str = "allow_anonymous true") -> Mosquitto:
        made.append(Mosquitto(tmp_path, options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def broker(make_broker: Callable[..., Mosquitto]) -> Mosquitto:
    return make_broker().start()


@pytest.fixture
def door() -> Iterator[Door]:
    """A shut door, for a client that must not come in before a subscriber did."""
    made = Door()
    yield made
    made.shut()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    made: list[Listener] = []

    def start(*args: Any) -> Listener:
        made.append(Listener(*args))
        return made[-1]

    yield start
    for one in made:
        one.stop()
