"""Where an outbox's file is: one for each peer and device, in a folder that outlives the process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from edge.sinks.broker import Broker

__all__ = ["MEMORY", "outbox_file", "outbox_named"]

MEMORY = "memory"
"""The value of ``outbox=`` that keeps nothing on disk."""


def outbox_file(broker: Broker, device: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file for what waits for ``broker``; None when it is kept in memory.

    ``outbox=FOLDER`` of the URI wins, then systemd's ``STATE_DIRECTORY``, ``XDG_STATE_HOME``, ``~/.local/state``.
    """
    return outbox_named(f"{broker.host}-{broker.port}-{broker.site}-{device}", broker.outbox, environment)


def outbox_named(name: str, given: str | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file for what waits under a ``name`` of its own; ``given`` is the ``outbox=`` of the URI."""
    if given == MEMORY:
        return None
    return _folder(given, environment) / f"{quote(name, safe='')[:200]}.outbox"


def _folder(given: str | None, environment: Mapping[str, str]) -> Path:
    if given:
        return Path(given).expanduser()
    if service := environment.get("STATE_DIRECTORY"):
        return Path(service.partition(":")[0]) / "outbox"
    state = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "mmrphys" / "outbox"
