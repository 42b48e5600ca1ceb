from __future__ import annotations

from pathlib import Path

import pytest

from edge.bundle import Bundle, load_bundle


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return load_bundle(None)


@pytest.fixture(scope="session")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the recordings of ``fakes/short_recordings.py`` are played into, once for all tests of a process."""
    return tmp_path_factory.mktemp("tapes")
