"""Draws the panels of the dashboards as one SVG file, from the answers of a Prometheus.

Run `python deploy/monitoring/picture.py http://127.0.0.1:9090 picture.svg [MINUTES]`. Only panels
that have values are drawn.
"""

import json
import sys
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

FOLDER = Path(__file__).with_name("grafana") / "dashboards"
DASHBOARDS = ("requests", "jobs", "processes")
COLUMNS, WIDTH, HEIGHT = 3, 400, 190
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 30, 42  # margins of a panel's plot
POINTS = 150
LONGEST = 28  # characters of a legend
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#17becf", "#7f7f7f")

Line = tuple[str, list[tuple[float, float]]]  # legend, (time, value)
Span = tuple[float, float]  # begin and end, Unix times


def ask(url: str, query: str, span: Span) -> list[dict[str, Any]]:
    """Return the series of a query over a span."""
    begin, end = span
    step = {"start": begin, "end": end, "step": (end - begin) / POINTS}
    with urlopen(f"{url}/api/v1/query_range?{urlencode({'query': query, **step})}") as answer:  # noqa: S310 - the operator's own address
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


def lines_of(url: str, panel: dict[str, Any], span: Span) -> Iterator[Line]:
    """Yield the lines of a panel."""
    for target in panel["targets"]:
        for series in ask(url, target["expr"], span):
            legend = target["legendFormat"]
            for label, value in series["metric"].items():
                legend = legend.replace("{{" + label + "}}", value)
            points = [(at, float(value)) for at, value in series["values"]]
            yield legend, [point for point in points if point[1] == point[1]]


def text(value: float, unit: str) -> str:
    """Return a value with its unit, as short as an axis needs it."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - digits
    return shown + ("/s" if unit in {"reqps", "ops"} else "")


def plot(title: str, unit: str, lines: list[Line], span: Span) -> Iterator[str]:
    """Yield the SVG of one panel, at the origin."""
    begin, end = span
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    most = max(value for _, points in lines for _, value in points) or 1.0
    yield f'<text x="{LEFT}" y="18" class="title">{escape(title)}</text>'
    for share in (0, 0.5, 1):
        y = TOP + high * (1 - share)
        yield f'<path d="M{LEFT} {y:.1f}h{wide}" class="grid"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" class="axis">{text(most * share, unit)}</text>'
    for minute in range(0, int((end - begin) / 60) + 1, 2):
        x = LEFT + wide * minute * 60 / (end - begin)
        yield f'<text x="{x:.1f}" y="{TOP + high + 13}" class="time">{minute} min</text>'
    # The highest lines are the interesting ones.
    lines = sorted(lines, key=lambda line: -max(value for _, value in line[1]))[: len(COLOURS)]
    for colour, (_, points) in zip(COLOURS, lines, strict=False):
        places = (
            (LEFT + wide * (at - begin) / (end - begin), TOP + high * (1 - value / most))
            for at, value in points
        )
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        yield f'<path d="M{path}" stroke="{colour}" class="line"/>'
    x = LEFT
    for colour, (legend, _) in zip(COLOURS, lines, strict=False):
        shown = legend if len(legend) <= LONGEST else legend[: LONGEST - 1] + "…"
        if x + 6 * len(shown) > WIDTH:
            break
        yield f'<text x="{x}" y="{HEIGHT - 10}" fill="{colour}">{escape(shown)}</text>'
        x += 12 + 6 * len(shown)


def picture(url: str, span: Span) -> str:
    """Return the SVG of all panels that have values."""
    parts, number = [], 0
    for name in DASHBOARDS:
        dashboard = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        for panel in dashboard["panels"]:
            lines = [line for line in lines_of(url, panel, span) if line[1]]
            if not lines:
                continue
            row, column = divmod(number, COLUMNS)
            number += 1
            parts.append(f'<g transform="translate({column * WIDTH} {row * HEIGHT})">')
            unit = panel["fieldConfig"]["defaults"]["unit"]
            parts += [*plot(panel["title"], unit, lines, span), "</g>"]
    high = HEIGHT * -(-number // COLUMNS)
    style = (
        "text{font:11px sans-serif}.title{font-weight:bold;fill:#222}.axis{text-anchor:end;"
        "fill:#555}.time{text-anchor:middle;fill:#555}.grid{stroke:#ddd;fill:none}"
        ".line{fill:none;stroke-width:1.5}"
    )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {COLUMNS * WIDTH} {high}">',
            f"<style>{style}</style>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            *parts,
            "</svg>\n",
        )
    )


if __name__ == "__main__":
    address, file, *minutes = sys.argv[1:]
    now = time.time()
    span = (now - 60 * float(minutes[0] if minutes else 10), now)
    Path(file).write_text(picture(address, span), encoding="utf-8")
