"""The table of a soak, for people."""

from typing import Final

from bench.soak.run import Kind, Result

_HEADINGS: Final = ("kind", "jobs", "starts", "effects", "lost", "twice", "repeated calls")
_TARGETS: Final = {
    "worker": "worker groups",
    "child": "processes of workers",
    "relay": "relays",
    "beat": "beats",
    "broker": "broker",
    "postgres": "Postgres",
}


def table(result: Result) -> list[str]:
    """Return the lines of the table.

    A start more than jobs is an attempt that was cut off. A repeated call is one that the other
    service has recognised by its idempotency key: its first caller died before it wrote that down.
    """
    rows = [(name, *_figures([kind])) for name, kind in sorted(result.kinds.items())]
    rows.append(("all", *_figures(list(result.kinds.values()))))
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (_HEADINGS, *rows)
    ]
    kills = ", ".join(
        f"{words} {result.kills[name]}" for name, words in _TARGETS.items() if result.kills[name]
    )
    return [
        *lines,
        "",
        f"kills: {result.kills.total()} ({kills})",
        f"lost: {result.lost}",
        f"effects twice: {result.twice} (begun after success: {result.started_after_success})",
        f"processes that ended by themselves: {result.ended_by_themselves}",
        *(f"not succeeded: {line}" for line in result.failed),
        f"time: {result.seconds:.0f} s, seed {result.seed}",
    ]


def _figures(kinds: list[Kind]) -> tuple[str, ...]:
    names = ("jobs", "starts", "effects", "lost", "twice", "repeated_calls")
    return tuple(f"{sum(getattr(kind, name) for kind in kinds):,}" for name in names)
