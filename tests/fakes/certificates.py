"""Certificates for tests, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["Authority"]

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


class Authority:
    """``folder`` holds ``ca.crt``, and ``NAME.crt`` and ``NAME.key`` of everybody it issued one to."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl program here: apt-get install openssl")
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._request("ca")

    def issue(self, name: str) -> None:
        self._request(
            name, "-CA", "ca.crt", "-CAkey", "ca.key",
            "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
        )  # fmt: skip

    def _request(self, name: str, *more: str) -> None:
        files = ("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")
        words = ["openssl", "req", "-x509", *_KEY, *files, *more]
        subprocess.run(words, cwd=self.folder, check=True, capture_output=True)
