"""Access lines, which the application writes to standard output without the logging module."""

import asyncio
import json
from typing import Any

import pytest


async def access_lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the contexts of the access lines since the last call; caplog does not have them."""
    await asyncio.sleep(0)  # they are written at the end of this tick
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines() if line[:1] == "{"]
    return [line["context"] for line in lines if line["context"].get("name") == "access"]
