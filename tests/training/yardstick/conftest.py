from __future__ import annotations

import pytest

from edge.bundle import Bundle, load_bundle


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return load_bundle(None)
