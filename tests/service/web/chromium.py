"""A Chromium without a window, driven by the DevTools protocol over a pair of pipes: no driver, no further library."""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

PATIENCE_S = 60.0


class PageError(AssertionError):
    """The browser refused a command, or a script of the test failed."""


class Chromium:
    """A browser process; `page` opens a page in it."""

    def __init__(self, program: str = "chromium") -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="sco-chromium-", ignore_cleanup_errors=True)
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        flags = [
            "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self._profile.name}", "--no-first-run",
            "--hide-scrollbars", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
            "--force-color-profile=srgb", "--lang=ru", "about:blank",
        ]  # fmt: skip
        if os.geteuid() == 0:
            flags.insert(0, "--no-sandbox")
        # The protocol is on the descriptors 3 and 4, whatever numbers the pipes have here.
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash", program, *flags],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._ids = itertools.count(1)
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._listeners: list[Callable[[dict[str, Any]], None]] = []
        threading.Thread(target=self._read, name="chromium", daemon=True).start()

    def _read(self) -> None:
        with os.fdopen(self._in, "rb") as stream:
            rest = b""
            while block := stream.read1(1 << 16):
                *messages, rest = (rest + block).split(b"\0")
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._answers.pop(message["id"]).put(message)
                    else:
                        for listener in tuple(self._listeners):
                            listener(message)

    def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """One command of the protocol and its result."""
        number = next(self._ids)
        answer = self._answers[number] = queue.Queue()
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(message).encode() + b"\0")
        try:
            done = answer.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise PageError(f"{method}: the browser does not answer") from None
        if "error" in done:
            raise PageError(f"{method}: {done['error']}")
        return dict(done["result"])

    @contextlib.contextmanager
    def page(self, url: str, size: tuple[int, int] = (1024, 768), *, phone: bool = False) -> Iterator[Page]:
        """A page at `url` in a context of its own: no cookie and no storage of another one."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        page = Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        self._listeners.append(page.heard)
        try:
            page.resize(size, phone=phone)
            page.go(url)
            yield page
        finally:
            self._listeners.remove(page.heard)
            self.call("Target.disposeBrowserContext", browserContextId=context)

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(PageError, OSError):
            self.call("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        os.close(self._out)
        self._profile.cleanup()


class Page:
    """One page. `problems` are the errors that its console has shown, and what its policy has refused."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser, self._session = browser, session
        self.problems: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol for this page."""
        return self._browser.call(method, self._session, **params)

    def heard(self, message: dict[str, Any]) -> None:
        """An event of the browser."""
        if message.get("sessionId") != self._session:
            return
        params = message["params"]
        if message["method"] == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"].get("exception", {}).get("description", params)))
        elif message["method"] == "Log.entryAdded" and params["entry"]["source"] in ("security", "violation", "other"):
            self.problems.append(params["entry"]["text"])

    def go(self, url: str) -> None:
        """Load `url`."""
        self.call("Page.navigate", url=url)

    def resize(self, size: tuple[int, int], *, phone: bool = False) -> None:
        """Give the page a window of that size in px; a phone's has a finger and two device pixels for each."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=size[0], height=size[1], deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in done:
            raise PageError(f"{script}: {done['exceptionDetails']['exception'].get('description')}")
        return done["result"].get("value")

    def wait(self, script: str, seconds: float = PATIENCE_S) -> Any:
        """The value of `script` as soon as it is true."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(PageError):  # the page may be loading
                if found := self.run(script):
                    return found
            if time.monotonic() > end:
                raise PageError(f"not true in {seconds} s: {script}\npage: {self.text()}\nproblems: {self.problems}")
            time.sleep(0.02)

    def wait_visible(self, selector: str, yes: bool = True) -> None:
        """Wait until the first element that matches can be seen, or cannot."""
        self.wait(f"(document.querySelector({json.dumps(selector)}).offsetParent !== null) === {json.dumps(yes)}")

    def visible(self, selector: str) -> bool:
        """Whether the first element that matches can be seen."""
        return bool(self.run(f"document.querySelector({json.dumps(selector)}).offsetParent !== null"))

    def text(self) -> str:
        """The words on the page."""
        return str(self.run("document.body ? document.body.innerText : ''"))

    def place(self, selector: str) -> tuple[float, float]:
        """The middle of the first visible element that matches, in px, scrolled into view."""
        box = self.wait(
            f"(() => {{ const one = [...document.querySelectorAll({json.dumps(selector)})].find(e => e.offsetParent);"
            " if (!one) return null; one.scrollIntoView({block: 'center'}); const b = one.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return float(box[0]), float(box[1])

    def click(self, selector: str) -> None:
        """Press and release the mouse on it."""
        x, y = self.place(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def tap(self, selector: str) -> None:
        """Touch it with a finger."""
        x, y = self.place(selector)
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, name: str, code: int, text: str = "") -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, text=text)

    def write(self, selector: str, text: str) -> None:
        """Type into a field."""
        self.click(selector)
        self.call("Input.insertText", text=text)

    def offline(self, yes: bool) -> None:
        """Cut the page's network, or give it back."""
        self.call(
            "Network.emulateNetworkConditions", offline=yes, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )

    def picture(self, *, whole: bool = False) -> Image.Image:
        """What is on the screen; `whole`: the whole page, however long."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return Image.open(io.BytesIO(base64.b64decode(shot["data"])))

    def save(self, path: Path, *, whole: bool = False) -> None:
        """Save `picture` as a PNG."""
        self.picture(whole=whole).save(path)
