"""How soon a subscriber hears ``offline`` when a kit's process is killed, and when it hangs."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from pathlib import Path

from fakes.broker import until
from faults.finding import Finding
from faults.ward import NO_BROKER, Witness, broker, environment, sink

__all__ = ["run"]

_CRASH_S = 1.0
_HANG_S = 15.0


def run(folder: Path, *, full: bool) -> Finding:
    """20 crashes and 3 hangs; short: one crash."""
    if NO_BROKER:
        return Finding(0, skipped=NO_BROKER)
    crashes, hangs = (20, 3) if full else (1, 0)
    with broker(folder) as (server, witness):
        crash_s = [_seen(server.port, folder, witness, signal.SIGKILL) for _ in range(crashes)]
        hang_s = [_seen(server.port, folder, witness, signal.SIGSTOP) for _ in range(hangs)]
    figures: dict[str, float | str | int] = {"crashes": crashes, "longest after a crash, s": round(max(crash_s), 3)}
    if hang_s:
        figures |= {"hangs": hangs, "longest after a hang, s": round(max(hang_s), 1)}
    failures = [f"a crash was seen after {max(crash_s):.2f} s"] * (full and max(crash_s) > _CRASH_S)
    failures += [f"a hang was seen after {seconds:.1f} s" for seconds in hang_s if seconds > _HANG_S]
    return Finding(crashes + hangs, figures, tuple(failures))


def _seen(port: int, folder: Path, witness: Witness, how: signal.Signals) -> float:
    """Seconds from the signal to ``offline``."""

    def said(word: str) -> int:
        return sum(one.text == word for one in witness.heard())

    online, offline = said("online"), said("offline")
    child = subprocess.Popen([sys.executable, __file__, str(port), str(folder / "outbox")], env=environment())
    until(lambda: said("online") > online, "the birth message", 30.0)
    at_s = time.time()
    child.send_signal(how)
    until(lambda: said("offline") > offline, "the last will", 30.0)
    child.kill()
    child.wait()
    return [one.at_s for one in witness.heard() if one.text == "offline"][-1] - at_s


if __name__ == "__main__":
    logging.disable()
    held = sink(int(sys.argv[1]), Path(sys.argv[2]))
    signal.pause()
