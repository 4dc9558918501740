"""The capacity model: what a number of users needs, from the measured cost of each call.

The figures are in docs/SCALING.md, in the table that `./app load costs` prints. The model is
linear: a rate of requests, a mix of calls, and the processor time of each in each part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.scale.costs import PARTS

PAGE: Final = Path("docs") / "SCALING.md"
USERS: Final = (10_000, 100_000, 1_000_000)
PAUSE_SECONDS: Final = 10.0
"""The time from one request of a user to the next."""
MIX: Final = {
    "hit": 0.87,
    "miss": 0.09,
    "change a draft": 0.025,
    "publish, with its job": 0.01,
    "login": 0.005,
}
"""The share of each call: that of the scenario `everyday`, with a hit rate of nine in ten."""
BUSY: Final = 0.6
"""How busy a core may be: more makes a queue, and the times long."""
CONNECTIONS: Final = 10_000
"""Of one API process at most: MAX_CONNECTIONS."""
FEWEST: Final = 2

Costs = Mapping[str, Mapping[str, float]]

_HEADING: Final = (
    "users",
    "requests/s",
    "API processes",
    *(part for part in PARTS if part != "API"),
)


@dataclass(frozen=True)
class Need:
    """What a number of users needs: cores of each part, and processes of the API."""

    users: int
    rate: float
    cores: Mapping[str, float]
    api_processes: int


def read_costs(page: str) -> Costs:
    """Return the microseconds of each call, by part, from the page. Raises BenchError."""
    found: dict[str, dict[str, float]] = {}
    columns: list[str] = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if cells[0] == "call":
            columns = [cell.removesuffix(" µs") for cell in cells]
        elif columns and not line.startswith("|"):
            break
        elif columns and not set(line) <= set("|-: "):
            numbers = [cell.replace(",", "") for cell in cells[1:]]
            found[cells[0]] = dict(zip(columns[1:], map(float, numbers), strict=True))
    if lacking := [call for call in MIX if call not in found]:
        raise BenchError(f"{PAGE} has no measured cost of: {', '.join(lacking)}.")
    return found


def need(users: int, costs: Costs) -> Need:
    """Return what these users need."""
    rate = users / PAUSE_SECONDS
    each = {part: sum(share * costs[call][part] for call, share in MIX.items()) for part in PARTS}
    cores = {part: rate * microseconds / 1e6 / BUSY for part, microseconds in each.items()}
    processes = max(FEWEST, ceil(cores["API"]), ceil(users / CONNECTIONS))
    return Need(users, rate, cores, processes)


def most_users(part: str, costs: Costs) -> int:
    """Return the users with whom one core of a part is as busy as it may be."""
    return int(USERS[0] / need(USERS[0], costs).cores[part])


def table(costs: Costs, users: Sequence[int] = USERS) -> list[str]:
    """Return the model's table, in Markdown: cores, but for the processes of the API."""
    rows: list[tuple[str, ...]] = [_HEADING, ("---:",) * len(_HEADING)]
    for one in (need(number, costs) for number in users):
        cores = [f"{one.cores[part]:,.1f}" for part in PARTS if part != "API"]
        rows.append((f"{one.users:,}", f"{one.rate:,.0f}", f"{one.api_processes:,}", *cores))
    row = [f"{most_users(part, costs):,}" for part in PARTS]
    rows.append(("users of one core", "", *row))
    return [f"| {' | '.join(row)} |" for row in rows]
