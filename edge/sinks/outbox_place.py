"""Where the outbox's file is: one for each broker, site and device, in a folder that outlives the process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from edge.sinks.broker import Broker

__all__ = ["MEMORY", "outbox_file"]

MEMORY = "memory"
"""The value of ``outbox=`` that keeps nothing on disk."""


def outbox_file(broker: Broker, device: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file for what waits for ``broker``; None when it is kept in memory.

    ``outbox=FOLDER`` of the URI wins, then systemd's ``STATE_DIRECTORY``, ``XDG_STATE_HOME``, ``~/.local/state``.
    """
    if broker.outbox == MEMORY:
        return None
    name = quote(f"{broker.host}-{broker.port}-{broker.site}-{device}", safe="")
    return _folder(broker.outbox, environment) / f"{name[:200]}.outbox"


def _folder(given: str | None, environment: Mapping[str, str]) -> Path:
    if given:
        return Path(given).expanduser()
    if service := environment.get("STATE_DIRECTORY"):
        return Path(service.partition(":")[0]) / "outbox"
    state = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "mmrphys" / "outbox"
