# ruff: noqa: INP001 - a script that goes into the images, part of no package
"""Whether the kit in this container is well: asks the bedside page's ``/healthz`` on loopback; exit code 0 or 1.

It needs the sink ``web:127.0.0.1:8080`` in the kit.
"""

from __future__ import annotations

import sys
import urllib.request

__all__ = ["healthy"]


def healthy(address: str = "http://127.0.0.1:8080/healthz") -> str:
    """Empty when the page says so within 3 s, else why not."""
    try:
        with urllib.request.urlopen(address, timeout=3.0) as answer:  # noqa: S310 - loopback, our own words
            return "" if answer.status == 200 else f"{address} says {answer.status}"
    except OSError as error:
        return f"{address}: {error}; the kit needs --sink web:127.0.0.1:8080"


if __name__ == "__main__":
    sys.exit(healthy() or 0)
