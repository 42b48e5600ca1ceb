"""A real broker for the tests of many kits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.broker import Mosquitto, has_mosquitto


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    if not has_mosquitto():
        pytest.skip("mosquitto is not installed")
    broker = Mosquitto(tmp_path, "allow_anonymous true\nmax_queued_messages 100000").start()
    yield broker
    broker.kill()
