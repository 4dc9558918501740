"""The output of `./app bench`: medians over the rounds, and ratios to the base."""

import json
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from bench.cases import BASE
from bench.run import Figure


def ratios(rounds: Sequence[Sequence[Figure]]) -> dict[str, float]:
    """Return the CPU time of each case relative to the base: the median of the rounds' ratios.

    Each round is compared with its own base, so that a temporarily slow machine affects both.
    """
    found: dict[str, list[float]] = {}
    for figures in rounds:
        base = next(figure.cpu_us for figure in figures if figure.case == BASE)
        for figure in figures:
            found.setdefault(figure.case, []).append(figure.cpu_us / base)
    return {case: round(median(values), 3) for case, values in found.items()}


def lines(rounds: Sequence[Sequence[Figure]]) -> list[str]:
    """Return JSON Lines: one for each case and, last, the ratios."""
    cases = [json.dumps(summary) for summary in map(_summary, _by_case(rounds))]
    return [*cases, json.dumps({"ratio": ratios(rounds)})]


def table(rounds: Sequence[Sequence[Figure]]) -> list[str]:
    """Return the report for people."""
    part = ratios(rounds)
    rows = [f"{'':<15} {'CPU µs a request':^26} {'requests/s':>11} {'busy':>6} {'ratio':>7}"]
    rows.append(f"{'':<15} {'min':>8} {'median':>8} {'max':>8} {'median':>11} {'':>6} {'':>7}")
    for figures in _by_case(rounds):
        one = _summary(figures)
        cpu = " ".join(f"{one['cpu_us'][name]:8.1f}" for name in ("min", "median", "max"))
        rows.append(
            f"{one['case']:<15} {cpu} {one['requests_per_second']['median']:11,.0f} "
            f"{one['busy']:6.0%} {part[one['case']]:7.2f}"
        )
    return [*rows, "", f"ratio: CPU a request, relative to {BASE} in the same round"]


def _by_case(rounds: Sequence[Sequence[Figure]]) -> list[Sequence[Figure]]:
    return [list(figures) for figures in zip(*rounds, strict=True)]


def _summary(figures: Sequence[Figure]) -> dict[str, Any]:
    return {
        "case": figures[0].case,
        "rounds": len(figures),
        "requests": sum(figure.requests for figure in figures),
        "cpu_us": _spread(figures, lambda one: one.cpu_us),
        "requests_per_second": _spread(figures, lambda one: one.per_second),
        "busy": round(median(figure.busy for figure in figures), 3),
    }


def _spread(figures: Sequence[Figure], value: Callable[[Figure], float]) -> dict[str, float]:
    values = [value(figure) for figure in figures]
    return {
        "min": round(min(values), 1),
        "median": round(median(values), 1),
        "max": round(max(values), 1),
    }
