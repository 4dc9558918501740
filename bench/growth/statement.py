"""One statement with its bound, and how one is written."""
# ruff: noqa: S608 - the SQL is made of our own text

from dataclasses import dataclass
from typing import Any, Final

from bench.growth.fill import READER, row_id

FEW: Final = 100
"""The rows that a statement about a few rows reads."""


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


def quoted_id(kind: str, number: int) -> str:
    """Return the id of a row, for SQL."""
    return f"'{row_id(kind, number)}'"


def rpc(name: str, arguments: str = "") -> str:
    """Return a call of a function, for SQL."""
    return f"select * from public.{name}({arguments})"


def call(name: str, arguments: str = "", *, case: str = "", **bounds: Any) -> Statement:
    """Return a call of a function by the service; `bounds` are fields of Statement."""
    return Statement(name=f"{name} {case}".strip(), sql=rpc(name, arguments), **bounds)


def by_user(name: str, arguments: str = "", *, user: int = READER, rows: int = FEW) -> Statement:
    """Return a call of a function by a user."""
    return Statement(
        name=name, sql=rpc(name, arguments), role="authenticated", user=user, rows=rows
    )
