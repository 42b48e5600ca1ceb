"""``make audit``: known weaknesses of what constraints.txt pins, by pip-audit, where their data can be reached.

OSV is asked, else PyPI, if it gives the pages of single releases with their weaknesses. Mirrors often do not, and then
nothing is found in anything: so PyPI is believed once it knows a weakness of a release that has some. All pins are
asked about, those for other Pythons than the one in use too.

A finding ends with 1. ``make audit AUDIT="--ignore-vuln ID"`` lets one pass that does not concern us.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"
OSV = "https://api.osv.dev/"
PYPI = "https://pypi.org/pypi/"
_WEAK = "jinja2/2.11.2/json"
"""A release with weaknesses that are known since 2021."""
_TIMEOUT_S = 10.0


def why_not_osv(url: str = OSV) -> str:
    """Why OSV cannot be asked; empty when it answers, whatever it answers."""
    try:
        urllib.request.urlopen(url, timeout=_TIMEOUT_S).close()
    except urllib.error.HTTPError:
        return ""
    except OSError as error:
        return f"{url} cannot be reached ({error})"
    return ""


def why_not_pypi(url: str = PYPI) -> str:
    """Why PyPI cannot be asked; empty when it knows what is wrong with a release that has weaknesses."""
    try:
        with urllib.request.urlopen(url + _WEAK, timeout=_TIMEOUT_S) as answer:
            known = json.load(answer).get("vulnerabilities")
    except (OSError, ValueError, AttributeError) as error:
        return f"{url}{_WEAK} gives nothing ({error})"
    return "" if known else f"{url}{_WEAK} knows of no weakness, and there are some"


def pins(text: str) -> list[dict[str, str]]:
    """The pins by name, without markers, in as many parts as a package has releases: pip-audit takes one of each."""
    parts: list[dict[str, str]] = []
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE):
        if all(name in part for part in parts):
            parts.append({})
        next(part for part in parts if name not in part)[name] = f"{name}=={version}"
    return parts


def main(more: list[str], osv: str = OSV, pypi: str = PYPI) -> int:
    """The exit code of pip-audit; 0, said aloud, when it cannot ask."""
    service, why = "osv", why_not_osv(osv)
    if why:
        service, why_neither = "pypi", why_not_pypi(pypi)
        if why_neither:
            sys.stdout.write(f"== audit skipped: {why}; {why_neither}\n")
            return 0
    asked = ["--vulnerability-service", service, "--strict", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    parts = pins(CONSTRAINTS.read_text(encoding="utf-8"))
    return max(_pip_audit([*asked, *more], list(part.values())) for part in parts)


def _pip_audit(words: list[str], pinned: list[str]) -> int:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("\n".join(pinned) + "\n")
        file.flush()
        all_words = [sys.executable, "-m", "pip_audit", *words, "--requirement", file.name]
        return subprocess.run(all_words, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
