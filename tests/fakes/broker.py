"""A real MQTT broker and real subscribers, started on a free loopback port."""

from __future__ import annotations

import getpass
import os
import queue
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

__all__ = ["PATIENCE_S", "Heard", "Listener", "Mosquitto", "accepts", "free_port", "has_mosquitto", "until"]

PATIENCE_S = 15.0


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for a condition of another process or thread; fail when it does not come."""
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {patience_s} s for {what}")
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Mosquitto:
    """Debian's broker. ``options`` are lines of its configuration, ``config`` replaces all of it but the user."""

    folder: Path
    options: str = "allow_anonymous true"
    port: int = field(default_factory=free_port)
    config: str | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Mosquitto:
        config = self.folder / "mosquitto.conf"
        text = self.config or f"listener {self.port} 127.0.0.1\npersistence false\n{self.options}"
        config.write_text(f"user {getpass.getuser()}\n{text}\n")
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None
        self.process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
        until(lambda: accepts(self.port), "the broker")
        return self

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@dataclass(frozen=True)
class Heard:
    topic: str
    payload: str
    qos: int
    retain: bool
    expiry_s: int | None


class Listener:
    """``mosquitto_sub`` on a topic filter; collects what it prints."""

    def __init__(self, port: int, topic: str = "vitals/#", extra: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "mosquitto_sub", "-d", "-V", "5", "-q", "1", "-h", "127.0.0.1", "-p", str(port),
             "-t", topic, "-F", "%t\t%q\t%r\t%E\t%p", *extra],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._port = port
        self.subscribed = threading.Event()
        self._lines: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self.heard: list[Heard] = []
        threading.Thread(target=self._read, daemon=True).start()
        until(self.subscribed.is_set, "the subscription")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("Subscribed"):
                self.subscribed.set()
            parts = line.rstrip("\n").split("\t")
            if len(parts) == 5:
                expiry = int(parts[3]) if parts[3].isdigit() and parts[3] != "0" else None
                self._lines.put(Heard(parts[0], parts[4], int(parts[1]), parts[2] == "1", expiry))

    def all(self) -> list[Heard]:
        while not self._lines.empty():
            self.heard.append(self._lines.get())
        return self.heard

    def on(self, ending: str) -> list[Heard]:
        return [one for one in self.all() if one.topic.endswith(ending)]

    def seqs(self, ending: str) -> list[int]:
        return [msgspec.json.decode(one.payload)["seq"] for one in self.on(ending)]

    def say(self, topic: str, payload: str) -> None:
        """Publish something, as another client would."""
        words = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self._port), "-t", topic, "-m", payload, "-q", "1"]
        subprocess.run(words, check=True, timeout=PATIENCE_S)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def has_mosquitto() -> bool:
    """Whether broker and subscriber are installed (Debian keeps the broker where only root's PATH looks)."""
    broker = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    return broker is not None and shutil.which("mosquitto_sub") is not None
