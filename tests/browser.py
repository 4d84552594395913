"""Chromium without a window, driven over its DevTools protocol: enough to open one page and to use it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from support import program

START_SECONDS = 60
ANSWER_SECONDS = 30


class Tab:
    """One page of the browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._last = 0
        self.said: list[dict[str, Any]] = []
        """Events of the page, among them what it wrote to its console and what its policy refused."""

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to one command of the protocol."""
        self._last += 1
        self._connection.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(timeout=ANSWER_SECONDS))
            if message.get("id") == self._last:
                assert "error" not in message, message
                return message["result"]
            self.said.append(message)

    def eval(self, expression: str) -> Any:
        """The value of an expression in the page; promises are waited for."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def open(self, url: str) -> None:
        """Loads a page, to its end."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def until(self, condition: str) -> None:
        """Returns once the condition holds in the page."""
        ended = time.monotonic() + ANSWER_SECONDS
        while not self.eval(f"Boolean({condition})"):
            assert time.monotonic() < ended, f"waited for {condition}"
            time.sleep(0.02)

    def choose(self, selector: str, *files: Path) -> None:
        """Gives files to a file picker, as a person does."""
        # By its number in a document that was asked for, the browser would tell of all that changes there from then on.
        found = self.call("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")["result"]
        self.call("DOM.setFileInputFiles", objectId=found["objectId"], files=[str(file) for file in files])

    def drop(self, *files: Path) -> None:
        """Drops files onto the page, as a person does."""
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=100, y=100, data=data)


@contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """A browser with a profile of its own in `folder`, and its one page; it may connect to nothing."""
    command = [
        program("chromium", "chromium-browser", "google-chrome"),
        *("--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder}"),
        *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND"),
        "about:blank",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with connect(_address(folder, process), max_size=None, open_timeout=START_SECONDS) as connection:
            tab = Tab(connection)
            for domain in ("Page", "Runtime", "Log", "Network"):
                tab.call(f"{domain}.enable")
            yield tab
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _address(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the page listens for us; the browser writes its port into its profile."""
    import urllib.request

    ended = time.monotonic() + START_SECONDS
    while time.monotonic() < ended:
        assert process.poll() is None, (folder / "log").read_text(errors="replace")[-2000:]
        try:
            port = (folder / "DevToolsActivePort").read_text().split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
                pages = [one for one in json.load(answer) if one["type"] == "page"]
            return pages[0]["webSocketDebuggerUrl"]
        except (OSError, IndexError):
            time.sleep(0.05)
    raise AssertionError("the browser did not listen")
