# ruff: noqa: INP001 - a script that goes into the images, part of no package
"""Whether the kit in this container is well: asks the bedside page's ``/healthz`` on loopback; exit code 0 or 1.

It needs the sink ``web:`` at port 8080 in the kit, and its token where that asks for one.
"""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

__all__ = ["healthy"]

_TOKEN_FILE = "/run/secrets/page.token"  # noqa: S105 - where it is, not what


def healthy(address: str = "http://127.0.0.1:8080/healthz", token_file: str = _TOKEN_FILE) -> str:
    """Empty when the page says so within 3 s, else why not."""
    request = urllib.request.Request(address)  # noqa: S310 - loopback, our own words
    try:
        if Path(token_file).exists():
            request.add_header("Authorization", f"Bearer {Path(token_file).read_text(encoding='ascii').split()[0]}")
        with urllib.request.urlopen(request, timeout=3.0) as answer:  # noqa: S310
            return "" if answer.status == 200 else f"{address} says {answer.status}"
    except (OSError, ValueError, IndexError) as error:
        return f"{address}: {error}; the kit needs the sink web: at port 8080, and {token_file} where it asks for it"


if __name__ == "__main__":
    sys.exit(healthy() or 0)
