"""One page in a headless Chromium, driven by the DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

import asyncio
import contextlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-port=0", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip


class Page:
    """A page; `requested` holds the addresses that it loaded, `faults` the browser's complaints."""

    def __init__(self, socket: ClientConnection) -> None:
        self.requested: list[str] = []
        self.faults: list[str] = []
        self.session: dict[str, str] = {}
        self._socket, self._last = socket, 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a command."""
        self._last += 1
        found = self._waiting[self._last] = asyncio.get_running_loop().create_future()
        message = {"id": self._last, "method": method, "params": parameters, **self.session}
        await self._socket.send(json.dumps(message))
        return await asyncio.wait_for(found, 10)

    async def run(self, code: str) -> Any:
        """Return the value of an expression in the page."""
        found = await self.call("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, code: str) -> Any:
        """Wait until an expression is true, and return its value."""
        async with asyncio.timeout(20):
            while not (value := await self.run(code)):
                await asyncio.sleep(0.05)
        return value

    async def listen(self) -> None:
        """Receive the browser's messages until the connection ends."""
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._waiting.pop(message["id"]).set_result(message.get("result", message))
                continue
            parameters = message["params"]
            match message["method"]:
                case "Network.requestWillBeSent":
                    self.requested.append(parameters["request"]["url"])
                case "Log.entryAdded":
                    self.faults.append(parameters["entry"]["text"])
                case "Runtime.exceptionThrown":
                    self.faults.append(str(parameters["exceptionDetails"]))
                case "Audits.issueAdded" if "SecurityPolicy" in parameters["issue"]["code"]:
                    self.faults.append(str(parameters["issue"]))


@contextlib.asynccontextmanager
async def opened(url: str, folder: Path) -> AsyncIterator[Page]:
    """Open a page in a separate browser, which keeps its files in `folder`."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *_FLAGS, f"--user-data-dir={folder}", "about:blank"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(30):
            while len(place := _place(folder)) < 2:
                await asyncio.sleep(0.05)
        async with connect(f"ws://127.0.0.1:{place[0]}{place[1]}", max_size=None) as socket:
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            target = await page.call("Target.createTarget", url="about:blank")
            session = await page.call("Target.attachToTarget", flatten=True, **target)
            page.session = session
            for domain in ("Network", "Log", "Runtime", "Page", "Audits"):
                await page.call(f"{domain}.enable")
            await page.call("Page.navigate", url=url)
            yield page
        await listening
    finally:
        process.terminate()
        await process.wait()


def _place(folder: Path) -> list[str]:
    file = folder / "DevToolsActivePort"
    return file.read_text().split() if file.exists() else []
