"""Both ends of serial ports: pseudo-terminals, a port in memory whose reader can stall or leave; time that is told."""

from __future__ import annotations

import os
import select
import tty

S = 10**9


class Clock:
    """Monotonic time that passes when told."""

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def pass_s(self, seconds: float) -> None:
        self.now_ns += round(seconds * S)


class Pty:
    """A pseudo-terminal: ``path`` is what a kit opens, the rest is its reader at the other end."""

    def __init__(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        os.close(slave)
        self._open = True

    def read(self, wait_s: float = 0.05) -> bytes:
        """What came, until nothing comes for ``wait_s``."""
        out = b""
        while select.select([self._master], [], [], wait_s)[0]:
            try:
                out += os.read(self._master, 65_536)
            except OSError:  # nobody has the other end open
                break
        return out

    def write(self, data: bytes) -> None:
        os.write(self._master, data)

    def unplug(self) -> None:
        if self._open:
            os.close(self._master)
            self._open = False


class Cable:
    """What a port in memory is plugged into. ``received`` is what its reader got, with the times of arrival."""

    def __init__(self, clock: Clock) -> None:
        self.plugged = True
        self.stalled = False
        self.room_bytes = 4_096
        self.received: list[tuple[int, bytes]] = []
        self.to_kit = b""
        self.opened = 0
        self.discarded = 0
        self._clock = clock

    def open_port(self, path: str) -> MemoryPort:
        """What the link calls."""
        if not self.plugged:
            raise FileNotFoundError(2, "No such file or directory", path)
        self.opened += 1
        return MemoryPort(self, self._clock)

    def bytes(self) -> bytes:
        return b"".join(data for _, data in self.received)


class MemoryPort:
    """Bytes reach the reader when it does not stall; a driver holds ``room_bytes``."""

    def __init__(self, cable: Cable, clock: Clock) -> None:
        self._cable = cable
        self._clock = clock
        self._held = b""

    def pending(self) -> int:
        self._flow()
        return len(self._held)

    def write(self, data: bytes) -> int:
        self._flow()
        taken = data[: max(0, self._cable.room_bytes - len(self._held))]
        self._held += taken
        self._flow()
        return len(taken)

    def read(self) -> bytes:
        self._flow()
        data, self._cable.to_kit = self._cable.to_kit, b""
        return data

    def discard(self) -> None:
        self._flow()
        self._cable.discarded += len(self._held)
        self._held = b""

    def close(self) -> None:
        self._held = b""

    def _flow(self) -> None:
        if not self._cable.plugged:
            raise OSError(5, "Input/output error")
        if self._held and not self._cable.stalled:
            self._cable.received.append((self._clock(), self._held))
            self._held = b""
