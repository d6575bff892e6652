"""Look at a page in headless Chromium, over the pipe of its remote debugging: what it asks for, says, shows.

Only the standard library is needed. Nothing leaves the machine: no host name is resolved.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
#: After which it is given up. Only a fault takes so long.
SECONDS = 3600.0
MISSING = f"no browser: none of {', '.join(NAMES)} is installed (Debian: apt install chromium)"

#: Opens what is folded, waits until all plots are drawn, and measures the page.
MEASURE = """
(async patience => {
  for (const box of document.querySelectorAll("details")) box.open = true;
  const plots = [...document.querySelectorAll(".plot")];
  const until = Date.now() + 1000 * patience;
  while (plots.some(p => !p.querySelector("svg")) && Date.now() < until)
    await new Promise(done => setTimeout(done, 100));
  await Promise.all([...document.images].map(image => image.decode().catch(() => null)));
  const width = document.documentElement.clientWidth;
  const scrolls = e => { for (let p = e; p; p = p.parentElement) {
    if (["auto", "scroll", "hidden"].includes(getComputedStyle(p).overflowX)) return true; } return false; };
  return {
    width,
    overflow: document.documentElement.scrollWidth - width,
    wide: [...document.body.querySelectorAll("*")]
      .filter(e => e.getBoundingClientRect().right > width + 1 && !scrolls(e))
      .slice(0, 5).map(e => e.outerHTML.slice(0, 100)),
    images: document.images.length,
    broken: [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt),
    plots: plots.length,
    empty: plots.filter(p => !p.querySelector("svg")).map(p => p.getAttribute("aria-label")),
    dead: [...document.querySelectorAll('a[href^="#"]')].map(a => a.getAttribute("href").slice(1))
      .filter(id => id && !document.getElementById(id)),
    small: [...document.querySelectorAll("p, td, th, li, a, summary")]
      .filter(e => e.offsetParent && e.textContent.trim() && parseFloat(getComputedStyle(e).fontSize) < 11).length,
    text: document.body.innerText.length,
  };
})
"""


#: Puts the two ends of the pipes where the browser looks for them, and becomes the browser.
START = """
import fcntl, os, sys
there, theirs = (fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3])
os.dup2(there, 3)
os.dup2(theirs, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


@dataclass
class Page:
    """What was seen of a page: URLs it asked for other than itself, what its console says, `MEASURE`, an answer."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    answer: Any = None
    screenshot: bytes = b""

    def faults(self) -> dict[str, Any]:
        """Return what should be empty or zero on a page that is sound."""
        names = ("overflow", "wide", "broken", "empty", "dead", "small")
        return {"requests": self.requests, "errors": self.errors, **{name: self.measured[name] for name in names}}


def executable() -> str | None:
    """Return the browser, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def look(
    path: Path, width: int, height: int, profile: Path, *, scroll_to: str = "", patience: float = 1200.0, ask: str = ""
) -> Page:
    """Open a file in a window of that size, and say what is seen.

    Parameters
    ----------
    path : Path
    width, height : int
        Of the window, in pixels.
    profile : Path
        A folder for the browser's own files.
    scroll_to : str
        The id of what the screenshot begins with; the top of the page if empty.
    patience : float
        Seconds to wait for plots.
    ask : str
        An expression in JavaScript, or a promise of its value, which is then the `answer`.
    """
    page, url = Page(), path.resolve().as_uri()
    with _browser(profile) as (send, read):
        target = _call(send, read, page, "Target.createTarget", url="about:blank")["targetId"]
        session = _call(send, read, page, "Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

        def call(method: str, **parameters: Any) -> Any:
            return _call(send, read, page, method, session, **parameters)

        for domain in ("Page", "Runtime", "Network", "Log"):
            call(f"{domain}.enable")
        call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        call("Page.navigate", url=url)
        _wait(read, page, lambda message: message.get("method") == "Page.loadEventFired")
        found = call("Runtime.evaluate", expression=f"{MEASURE}({patience})", awaitPromise=True, returnByValue=True)
        page.measured = found["result"]["value"]
        if ask:
            found = call("Runtime.evaluate", expression=ask, awaitPromise=True, returnByValue=True)
            page.answer = found["result"].get("value", found)
        if scroll_to:
            call("Runtime.evaluate", expression=f"document.getElementById('{scroll_to}').scrollIntoView()")
            call("Runtime.evaluate", expression="new Promise(d => setTimeout(d, 800))", awaitPromise=True)
        page.screenshot = base64.b64decode(call("Page.captureScreenshot")["data"])
    page.requests = [asked for asked in page.requests if asked != url and not asked.startswith(("data:", "blob:"))]
    return page


def _note(message: dict[str, Any], page: Page) -> None:
    """Take down what the page asks for and complains of."""
    told = message.get("params", {})
    match message.get("method"):
        case "Network.requestWillBeSent":
            page.requests.append(told["request"]["url"])
        case "Network.webSocketCreated":
            page.requests.append(told["url"])
        case "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            page.errors.append(details.get("exception", {}).get("description", details["text"]))
        case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
            page.errors.append(" ".join(str(argument.get("value", argument)) for argument in told["args"]))
        case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
            page.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")


def _wait(read: Any, page: Page, wanted: Any) -> dict[str, Any]:
    while True:
        message = read()
        _note(message, page)
        if wanted(message):
            return message


def _call(send: Any, read: Any, page: Page, method: str, session: str | None = None, **parameters: Any) -> Any:
    number = send(method, session, parameters)
    answer = _wait(read, page, lambda message: message.get("id") == number)
    if "error" in answer:
        raise RuntimeError(f"{method}: {answer['error']}")
    return answer["result"]


@contextlib.contextmanager
def _browser(profile: Path) -> Iterator[Any]:
    """Start a browser that reads commands on descriptor 3 and answers on 4; end all of its processes afterwards."""
    program = executable()
    if program is None:
        raise FileNotFoundError(MISSING)
    there, ours = os.pipe()
    back, theirs = os.pipe()
    options = (
        "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run"
        " --disable-background-networking --disable-component-update --disable-sync --disable-extensions"
        " --remote-debugging-pipe"
    )
    arguments = [*options.split(), f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(there), str(theirs), program, *arguments],
        pass_fds=(there, theirs),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(there)
    os.close(theirs)
    os.set_blocking(back, False)
    until, buffer, sent = time.monotonic() + SECONDS, bytearray(), 0

    def send(method: str, session: str | None, parameters: dict[str, Any]) -> int:
        nonlocal sent
        sent += 1
        message = {"id": sent, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(ours, json.dumps(message).encode() + b"\0")
        return sent

    def read() -> dict[str, Any]:
        while b"\0" not in buffer:
            if time.monotonic() > until:
                raise TimeoutError(f"the browser did not answer within {SECONDS:.0f} s")
            try:
                received = os.read(back, 2**20)
            except BlockingIOError:
                time.sleep(0.01)
                continue
            if not received:
                raise RuntimeError("the browser has stopped")
            buffer.extend(received)
        end = buffer.index(b"\0")
        message: dict[str, Any] = json.loads(bytes(buffer[:end]))
        del buffer[: end + 1]
        return message

    try:
        yield send, read
    finally:
        os.close(ours)
        os.close(back)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
