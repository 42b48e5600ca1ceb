"""How many kits one broker and one subscriber carry here: 1, 10, 100 and 500, without faults and with.

Run it with ``python -m edge.benchmarks.fleet [FILE.json]``. It starts Debian's Mosquitto on loopback, with room for
what a subscriber has not read yet, and runs ``mmrphys simulate`` against it. Kits, door and verifier share
this process and its one interpreter lock; on devices each kit has a machine of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edge.benchmarks.machine import machine
from edge.errors import UsageError
from edge.fleet.faults import Faults
from edge.fleet.simulate import Plan, simulate
from edge.sinks.broker import Broker

SECONDS = 30.0
KITS = (1, 10, 100, 500)
FAULTS = {"none": Faults(), "restarts=60,cuts=10:3": Faults(60.0, 10.0, 3.0)}
_CONFIG = (
    "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 100000\nuser {user}\n"
)


@contextmanager
def mosquitto() -> Iterator[tuple[int, int]]:
    """A broker on loopback; gives its port and process id."""
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise UsageError("mosquitto is not installed; apt-get install mosquitto")
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        config = Path(folder) / "mosquitto.conf"
        config.write_text(_CONFIG.format(port=port, user=os.environ.get("USER", "root")), encoding="ascii")
        broker = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)  # noqa: S603 - our own words
        try:
            time.sleep(0.5)
            yield port, broker.pid
        finally:
            broker.kill()
            broker.wait()


def processor_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(kits: int, faults: Faults) -> dict[str, Any]:
    """One run against a broker of its own."""
    with mosquitto() as (port, pid):
        broker = Broker("mqtt", "127.0.0.1", port, "benchmark")
        before_s = processor_s(pid)
        outcome = simulate(Plan(kits, SECONDS, faults), broker, threading.Event()).as_dict()
        return outcome | {"broker_processor_s": round(processor_s(pid) - before_s, 2), "load": os.getloadavg()[0]}


def main() -> None:
    """Measure, print the table, write the JSON."""
    screen = Console(highlight=False)
    table = Table(title=machine())
    for name in ("faults", "kits", "taken", "lost", "twice", "live p50", "p95", "p99 ms", "> 2 s", "history",
                 "broker s", "own s/s", "behind s", "load"):  # fmt: skip
        table.add_column(name, justify="right")
    runs = []
    for name, faults in FAULTS.items():
        for kits in KITS:
            screen.print(f"{kits} kits, faults {name}")
            found = measure(kits, faults)
            runs.append(found)
            verdict, live = found["verdict"], found["verdict"]["live_ms"]
            row = (name, kits, verdict["numerics"] + verdict["events"], verdict["lost"], verdict["duplicates"],
                   live["p50"], live["p95"], live["p99"], f"{verdict['late_share']:.1%}", verdict["history"],
                   found["broker_processor_s"], found["cpu_share"], found["behind_s"],
                   f"{found['load']:.0f}")  # fmt: skip
            table.add_row(*map(str, row))
    screen.print(table)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(
            json.dumps({"machine": machine(), "runs": runs}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
