"""``make audit``: known weaknesses of what constraints.txt pins, by pip-audit, where OSV's data can be reached.

A finding ends with 1. ``make audit AUDIT="--ignore-vuln ID"`` lets one pass that does not concern us.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"
SERVICE = "https://api.osv.dev/"


def why_not(url: str, timeout_s: float = 10.0) -> str:
    """Why nothing can be asked at ``url``; empty when it answers, whatever it answers."""
    try:
        urllib.request.urlopen(url, timeout=timeout_s).close()
    except urllib.error.HTTPError:
        return ""
    except OSError as error:
        return str(error)
    return ""


def main(more: list[str], url: str = SERVICE) -> int:
    """The exit code of pip-audit; 0, said aloud, when it cannot ask."""
    if why := why_not(url):
        sys.stdout.write(
            f"== audit skipped: {url}, which knows the weaknesses of packages, cannot be reached ({why})\n"
        )
        return 0
    asked = ["--vulnerability-service", "osv", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    words = [sys.executable, "-m", "pip_audit", *asked, "--requirement", str(CONSTRAINTS), *more]
    return subprocess.run(words, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
