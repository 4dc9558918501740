"""The table and the plot of a run."""

from collections.abc import Mapping, Sequence
from typing import Final

from bench.scale.observed import Observed, Seen, Times
from bench.scale.usage import Usage

_BARS: Final = "▁▂▃▄▅▆▇█"
_COLUMNS: Final = 60
_MIB: Final = 1024 * 1024
_BUSY: Final = 0.9


def grid(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Return rows of cells as lines: the first `left` columns left-aligned, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def answers(seen: Observed) -> list[str]:
    """Return a line for each call: answers, rate, milliseconds, errors."""
    rows: list[tuple[str, ...]] = [
        ("call", "requests", "per s", "P50 ms", "P95 ms", "P99 ms", "errors")
    ]
    rows += [_row(name, some, seen.seconds) for name, some in seen.by_call().items()]
    rows.append(_row("all", seen.calls, seen.seconds))
    lines = grid(rows)
    if seen.hit_rate is not None:
        lines += ["", f"hit rate: {seen.hit_rate:.1%} of the cached reads (counted by X-Cache)"]
    if errors := seen.errors:
        lines += ["", *(f"error: {times:,} of {what}" for what, times in errors.most_common(12))]
    return lines


def _row(name: str, some: Sequence[Seen], seconds: float) -> tuple[str, ...]:
    times = Times.of(some)
    wrong = sum(not one.good for one in some)
    rate = len(some) / seconds if seconds > 0 else 0.0
    return (name, f"{len(some):,}", f"{rate:,.1f}", *(f"{one:,.1f}" for one in times), f"{wrong:,}")


def processes(before: Mapping[str, Usage], after: Mapping[str, Usage], seconds: float) -> list[str]:
    """Return a line for each process: its share of a core, and its memory at the end."""
    rows = [("process", "CPU", "memory")]
    for name, last in after.items():
        share = busy(before, after, name, seconds)
        rows.append((name, f"{share:.0%}", f"{last.memory_bytes / _MIB:,.0f} MiB"))
    lines = grid(rows)
    if busy(before, after, "generator", seconds) > _BUSY:
        lines += ["", "The generator used a whole core: it was what ended first."]
    return lines


def busy(
    before: Mapping[str, Usage], after: Mapping[str, Usage], name: str, seconds: float
) -> float:
    """Return the share of a core that a process used in this time."""
    if name not in after or seconds <= 0:
        return 0.0
    return (after[name].cpu_seconds - before.get(name, Usage()).cpu_seconds) / seconds


def plot(seen: Observed) -> list[str]:
    """Return the rate and the P95 over the time, a bar for each part of it."""
    parts = seen.parts(min(_COLUMNS, max(1, int(seen.seconds))))
    width = seen.seconds / len(parts) if parts else 1.0
    rates = [len(part) / width for part in parts]
    slow = [Times.of(part).p95 for part in parts]
    return [
        f"{'requests/s':<11}{bars(rates)}  up to {max(rates, default=0):,.0f}",
        f"{'P95 ms':<11}{bars(slow)}  up to {max(slow, default=0):,.0f}",
    ]


def bars(values: Sequence[float]) -> str:
    """Return a bar for each value; the highest is as high as the line."""
    top = max(values, default=0.0)
    if top <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(len(_BARS) - 1, int(value / top * len(_BARS)))] for value in values)
