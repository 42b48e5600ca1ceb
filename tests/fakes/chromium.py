"""Debian's Chromium without a window, driven through its DevTools protocol. It is found, never fetched."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Chromium", "Page", "eventually"]

_START_S = 30.0
_ANSWER_S = 30.0


def eventually(what: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What ``what`` gives as soon as that is something; fails with what it gave last."""
    end_s = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > end_s:
            pytest.fail(f"waited {seconds} s in vain; last seen: {found!r}")
        time.sleep(0.05)
    return found


class Chromium:
    """One browser with a profile of its own in ``folder``; skips the test where there is none."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("chromium")
        if program is None:
            pytest.skip("no chromium here: apt-get install chromium")
        words = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
            "--hide-scrollbars", "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        told = folder / "DevToolsActivePort"
        eventually(lambda: told.exists() and len(told.read_text().splitlines()) == 2, _START_S)
        self._port = int(told.read_text().splitlines()[0])
        self._pages: list[Page] = []

    def page(
        self, url: str | None, *, width: int = 1280, height: int = 800, zoom: float = 1.0, dark: bool = False
    ) -> Page:
        """A new tab, empty when ``url`` is None; ``zoom`` as a person zooms: the same screen, larger CSS pixels."""
        page = Page(self._ask("new?about:blank", "PUT")["webSocketDebuggerUrl"])
        self._pages.append(page)
        page.size(width, height, zoom)
        page.media({"prefers-color-scheme": "dark" if dark else "light"})
        if url is not None:
            page.go(url)
        return page

    def _ask(self, what: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/{what}", method=method)
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:
            return json.load(answer)

    def close_pages(self) -> None:
        """Close every tab."""
        while self._pages:
            self._pages.pop().close()

    def close(self) -> None:
        self.close_pages()
        self._process.terminate()
        self._process.wait(10)


class Page:
    """One tab."""

    def __init__(self, address: str) -> None:
        from websockets.sync.client import connect

        self._open = ExitStack()
        link = connect(address, max_size=None, open_timeout=_ANSWER_S, compression=None, ping_interval=None)
        self._socket = self._open.enter_context(link)
        self._number = 0
        self.errors: list[str] = []
        """What went wrong in the page: exceptions, and what its console or the browser's log calls an error."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=_ANSWER_S))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return dict(message["result"])
            self._hear(message)

    def run(self, script: str) -> Any:
        """What an expression gives; a promise is waited for, an exception fails."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def text(self, selector: str) -> str:
        """What can be read there; empty where there is no such element."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def go(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        eventually(lambda: self.run("document.readyState") == "complete" and self.run("location.href") != "about:blank")

    def size(self, width: int, height: int, zoom: float = 1.0) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=round(width / zoom), height=round(height / zoom), deviceScaleFactor=zoom, mobile=False,
        )  # fmt: skip

    def media(self, features: dict[str, str]) -> None:
        pairs = [{"name": name, "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=pairs)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """A screenshot; ``whole``: the page to its end, else what fits the screen."""
        made = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(made["data"]))

    def key(self, key: str, code: int) -> None:
        for kind in ("rawKeyDown", "char", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "char" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def close(self) -> None:
        self.call("Page.close")
        self._open.close()

    def _hear(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
