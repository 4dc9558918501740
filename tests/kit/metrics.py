"""Parses responses of /metrics."""

from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Scrape:
    """The samples of one response."""

    def __init__(self, text: str) -> None:
        self._samples: Samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, /, **labels: Any) -> float | None:
        """Return the value of one series, or None if it does not exist."""
        wanted = tuple(sorted((label, str(value)) for label, value in labels.items()))
        return self._samples.get((name, wanted))

    def total(self, name: str, /, **labels: Any) -> float:
        """Return the sum of all series that have these labels; other labels may vary."""
        wanted = {(label, str(value)) for label, value in labels.items()}
        return sum(
            value
            for (found, its), value in self._samples.items()
            if found == name and wanted <= set(its)
        )

    def labels(self, label: str) -> set[str]:
        """Return all values that a label has in any series."""
        return {dict(labels)[label] for _, labels in self._samples if label in dict(labels)}

    def names(self) -> set[str]:
        """Return the names of all series."""
        return {name for name, _ in self._samples}


async def scraped(port: int) -> Scrape:
    """Return what a process says on its METRICS_PORT."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/metrics", timeout=20)
    return Scrape(answer.raise_for_status().text)
