"""The pool, the cached schema, and the transaction of a request."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import asyncpg

from devstack.gateway.config import GatewayConfig
from devstack.gateway.rest.errors import RestError, from_postgres
from devstack.gateway.rest.schema import INTROSPECTION, Schema, parse_schema
from devstack.gateway.rest.statements import Count, Statement

_ACQUIRE_SECONDS: Final = 10
_STATEMENT_TIMEOUT_MS: Final = "8000"
# set_config('role', …, true) is SET LOCAL ROLE with a parameter.
_CONTEXT: Final = (
    "SELECT set_config('search_path', '\"public\", \"extensions\"', true), "
    "set_config('role', $1, true), set_config('request.jwt.claims', $2, true), "
    "set_config('request.method', $3, true), set_config('request.path', $4, true), "
    "set_config('request.headers', $5, true), set_config('request.cookies', $6, true), "
    # PostgREST reads this at its start and at NOTIFY pgrst; here each request reads it.
    "(SELECT split_part(c, '=', 2) FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c "
    "WHERE s.setrole = session_user::regrole AND c LIKE 'pgrst.db_pre_request=%' "
    "AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d "
    "WHERE d.datname = current_database())) ORDER BY s.setdatabase DESC LIMIT 1) AS pre_request"
)


@dataclass(frozen=True)
class Context:
    """The facts of a request that SQL can read with `current_setting`."""

    role: str
    claims: dict[str, Any]
    method: str
    path: str
    headers: dict[str, str]
    cookies: dict[str, str]

    def parameters(self) -> tuple[str, ...]:
        """Return the parameters of the statement that sets the context."""
        claims, headers, cookies = map(json.dumps, (self.claims, self.headers, self.cookies))
        return self.role, claims, self.method, self.path, headers, cookies


@dataclass(frozen=True)
class Result:
    """The result of a statement.

    `headers` and `status` are as SQL set them, otherwise ''; `merged` counts the rows that an
    upsert found, `location` is a JSON list of the primary key's values.
    """

    body: str
    rows: int
    total: int | None
    location: str | None = None
    headers: str = ""
    status: str = ""
    merged: int = 0


# The result of a write without rows.
NOTHING: Final = Result(body="[]", rows=0, total=0)


class Database:
    """Connections of the user `authenticator`, opened and closed as a context manager."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._reading = asyncio.Lock()
        self.schema = Schema()

    async def __aenter__(self) -> Self:
        self._pool = await asyncpg.create_pool(
            self._config.database_url,
            user="authenticator",
            password="postgres",  # noqa: S106 - the local stack's, as its bootstrap sets it
            min_size=1,
            max_size=self._config.db_pool_size,
            server_settings={"statement_timeout": _STATEMENT_TIMEOUT_MS},
        )
        try:
            await self.refresh()
        except BaseException:
            await self._pool.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    async def refresh(self) -> bool:
        """Read the catalog again, once for all waiters; return whether it has changed."""
        before = self.schema
        async with self._reading:
            if self.schema is before:
                async with self._pool.acquire() as connection:
                    document = await connection.fetchval(INTROSPECTION)
                self.schema = parse_schema(document)
        return self.schema != before

    async def run(
        self,
        context: Context,
        statement: Statement,
        *,
        read_only: bool,
        count: Count | None,
        check: Callable[[Result], None],
    ) -> Result:
        """Run a statement in a transaction of the caller's role; an error of `check` undoes it.

        Raises RestError for every refusal of PostgreSQL, also at commit.
        """
        try:
            async with (
                self._pool.acquire(timeout=_ACQUIRE_SECONDS) as connection,
                connection.transaction(readonly=read_only),
            ):
                set_up = await connection.fetchrow(_CONTEXT, *context.parameters())
                if set_up is not None and set_up["pre_request"]:
                    await connection.execute(f"SELECT {_quoted(set_up['pre_request'])}()")
                row = await connection.fetchrow(statement.sql, *statement.parameters)
                assert row is not None  # an aggregate without GROUP BY is always one row
                total = row["total"]
                if statement.planned is not None:
                    total = await self._planned(connection, statement, exact=count == "estimated")
                result = _result(row, total)
                check(result)
                return result
        except asyncpg.PostgresError as error:
            raise from_postgres(error, anonymous=context.role == "anon") from error
        except TimeoutError:
            message = "Timed out acquiring connection from connection pool."
            raise RestError(504, "PGRST003", message) from None
        except (OSError, asyncpg.InterfaceError) as error:
            message = "Database client error. Retrying the connection."
            raise RestError(503, "PGRST001", message, details=str(error)) from error

    async def _planned(self, connection: Any, statement: Statement, *, exact: bool) -> int:
        """Return the planner's estimate; with `exact`, small numbers are counted."""
        # A parameter that the query omits still needs a type: this names all of them.
        types = ("text[]" if isinstance(value, list) else "text" for value in statement.parameters)
        declared = ", ".join(f"${n}::{name}" for n, name in enumerate(types, 1))
        planned = f"WITH p AS (SELECT {declared}) {statement.planned}"
        plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {planned}", *statement.parameters)
        estimate = int(json.loads(plan)[0]["Plan"]["Plan Rows"])
        if exact and estimate <= self._config.max_rows:
            counted = f"SELECT count(*) FROM ({planned}) AS c"  # noqa: S608 - compiled text
            return int(await connection.fetchval(counted, *statement.parameters))
        return estimate


def _quoted(name: str) -> str:
    """Return a function's name, with its schema or without, as an identifier."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def _result(row: Any, total: int | None) -> Result:
    return Result(
        body=row["body"] or "null",
        rows=row["rows"],
        total=total,
        location=row["location"],
        headers=row["headers_setting"] or "",
        status=row["status_setting"] or "",
        merged=int(row["merged_setting"] or 0),
    )
