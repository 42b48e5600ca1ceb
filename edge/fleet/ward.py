"""When simulated kits tick, restart and lose their links."""

from __future__ import annotations

import heapq
import random
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from edge.fleet.door import Door
from edge.fleet.faults import Faults
from edge.fleet.kit import SimulatedKit

__all__ = ["Plan", "Ward"]

_THREADS = 16
_NONE = Faults()


@dataclass(frozen=True, slots=True)
class Plan:
    """How many kits, for how long, with which faults. ``seconds`` are real ones."""

    kits: int
    seconds: float
    faults: Faults = _NONE
    seed: int = 0
    waves: bool = False


class Ward:
    """Ticks every kit once a second, each at its own moment of it, and lets the faults happen.

    A kit waits for its disk; so a few threads share them, each with kits of its own.
    """

    def __init__(self, plan: Plan, kits: list[SimulatedKit], door: Door | None, stop: threading.Event) -> None:
        self._plan, self._kits, self._door, self._stop = plan, kits, door, stop
        self.restarts = self.cuts = 0
        self.behind_s = 0.0
        self._counting = threading.Lock()
        self._over = False

    def run(self) -> None:
        """Until the plan ends or it is stopped; what a kit raises ends it."""
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(SimulatedKit.boot, self._kits))
            start_s = time.monotonic()
            shares = [self._kits[n::_THREADS] for n in range(min(_THREADS, len(self._kits)))]
            work = [pool.submit(self._tick_all, share, start_s) for share in shares]
            try:
                self._cut(start_s, work)
            finally:
                self._over = True
            for one in work:
                one.result()

    def _tick_all(self, kits: list[SimulatedKit], start_s: float) -> None:
        chance = random.Random(f"faults/{self._plan.seed}/{kits[0].number}")
        agenda = [(start_s + chance.random(), n) for n in range(len(kits))]
        heapq.heapify(agenda)
        while agenda[0][0] < start_s + self._plan.seconds and not self._over:
            due_s, number = heapq.heappop(agenda)
            if self._stop.wait(max(0.0, due_s - time.monotonic())):
                return
            restart = chance.random() < self._plan.faults.restart_share
            self._count(time.monotonic() - due_s, restart=restart)
            if restart:
                kits[number].crash()
                kits[number].boot()
            kits[number].tick()
            heapq.heappush(agenda, (due_s + 1.0, number))

    def _count(self, behind_s: float, *, restart: bool) -> None:
        with self._counting:
            self.restarts += restart
            self.behind_s = round(max(self.behind_s, behind_s), 3)

    def _cut(self, start_s: float, work: list[Future[None]]) -> None:
        """Shut and open the door in time, until the work is done."""
        faults, door = self._plan.faults, self._door
        while door is not None and not wait(work, _within(start_s, faults.cut_every_s), FIRST_EXCEPTION).done:
            door.shut()
            self.cuts += 1
            wait(work, faults.cut_s, FIRST_EXCEPTION)
            door.open()
        wait(work, return_when=FIRST_EXCEPTION)


def _within(start_s: float, every_s: float) -> float:
    """Seconds to the next multiple of ``every_s`` since the start."""
    return every_s - (time.monotonic() - start_s) % every_s
