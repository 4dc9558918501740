"""A real Prometheus with the rules of deploy/monitoring, which scrapes processes of a test."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from devstack.testing import free_port
from kit.waiting import until

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "monitoring"
RULES: Final = FOLDER / "rules" / "alerts.yml"
PROMETHEUS: Final = shutil.which("prometheus") or ""
PROMTOOL: Final = shutil.which("promtool") or ""
WHY_NOT: Final = "prometheus not found: apt-get install prometheus, as .ci/run does"


class Prometheus:
    """Asks it through its API."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url, self._client = url, client

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that a query finds now. Raises AssertionError if it is invalid."""
        answer = await self._client.get("/api/v1/query", params={"query": expression})
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    async def labels(self) -> dict[str, set[str]]:
        """Return the labels of each metric that was scraped, by the metric's name."""
        answer = await self._client.get("/api/v1/series", params={"match[]": '{job=~".+"}'})
        found: dict[str, set[str]] = {}
        for series in answer.raise_for_status().json()["data"]:
            found.setdefault(series["__name__"], set()).update(series)
        return found

    async def firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        answer = await self._client.get("/api/v1/alerts")
        alerts = answer.raise_for_status().json()["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}


@contextlib.asynccontextmanager
async def scraping(
    folder: Path, ports: Mapping[str, int], *, seconds: float = 1
) -> AsyncIterator[Prometheus]:
    """Run Prometheus; it scrapes a process of each job, at its port, every so many seconds."""
    every = f"{round(seconds * 1000)}ms"
    configuration = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for job, port in ports.items()
        ],
    }
    folder.mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(PROMETHEUS, f"--config.file={folder / 'prometheus.yml'}"),
            *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"),
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=20) as client:

            async def ready() -> bool:
                assert process.returncode is None, (folder / "log").read_text(encoding="utf-8")
                with contextlib.suppress(httpx.TransportError):
                    return (await client.get("/-/ready")).status_code == 200
                return False

            await until(ready)
            yield Prometheus(f"http://{address}", client)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
