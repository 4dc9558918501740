"""One statement, and how most of them are written."""

from dataclasses import dataclass
from typing import Final

from bench.growth.fill import row_id

FEW: Final = 100
"""Rows that a statement about one thing may read."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement; it runs as `role`, a user's where `user` is one, and is rolled back.

    `rows` bounds the rows that it and its triggers read, `milliseconds` its time; `setup` prepares
    the row that it is about.
    """

    name: str
    sql: str
    rows: int = FEW
    milliseconds: float = 5.0
    role: str = "service_role"
    user: int | None = None
    admin: bool = False
    setup: str = ""


def row(kind: str, number: int) -> str:
    """Return the id of a row, as SQL."""
    return f"'{row_id(kind, number)}'"


def rpc(name: str, arguments: str = "") -> str:
    """Return the call of a function, as SQL."""
    return f"select * from public.{name}({arguments})"  # noqa: S608 - our own text


def call(
    name: str, arguments: str = "", *, case: str = "", rows: int = FEW, milliseconds: float = 5.0
) -> Statement:
    """Return the statement of a function, which the service calls."""
    return Statement(
        name=f"{name} {case}".strip(),
        sql=rpc(name, arguments),
        rows=rows,
        milliseconds=milliseconds,
    )
