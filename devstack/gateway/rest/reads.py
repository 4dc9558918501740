"""The rows of a table as JSON, with embedded rows, as one SELECT."""
# ruff: noqa: S608 - this is the compiler: names are from the catalog, values are bound

from dataclasses import dataclass

from devstack.gateway.rest.errors import RestError
from devstack.gateway.rest.relationships import Relationship, find_relationship
from devstack.gateway.rest.schema import Table
from devstack.gateway.rest.sql import Builder, Source, public, quoted
from devstack.gateway.rest.syntax import Column, Embed, Level, Query

Path = tuple[str, ...]


@dataclass
class Rows:
    """One compiled level of the tree.

    `values` are (key in the response, SQL); `everything` says that the level is only `select=*`.
    `tail` is FROM, joins and WHERE; `order` and `limit` follow it.
    """

    source: Source
    values: list[tuple[str, str]]
    everything: bool
    tail: str
    order: str = ""
    limit: str = ""

    def select(self, expression: str) -> str:
        """Return the SELECT of one expression, named data, for each row."""
        return f"SELECT {expression} AS data {self.tail}{self.order}{self.limit}"


class Reader:
    """Compiles the tree of one query; `max_rows` is the limit of every list in the response."""

    def __init__(self, builder: Builder, query: Query, max_rows: int) -> None:
        self._builder, self._query, self._max_rows = builder, query, max_rows
        self._visited: set[Path] = {()}

    def root(self, table: Table, relation: str, *, filtered: bool = True) -> Rows:
        """Compile the query over `relation`, an SQL name for rows of `table`.

        Without `filtered`, a write has already chosen the rows. Raises RestError for unknown names
        and for parameters of tables that are not embedded.
        """
        level = self._query.root if filtered else Level(order=self._query.root.order)
        source = Source(table, self._builder.alias())
        rows = self._rows(source, relation, self._query.select, level=level)
        if filtered:
            rows.limit = self._limit(level)
        for path in self._query.levels:
            if path not in self._visited:
                raise RestError(
                    400,
                    "PGRST108",
                    f"'{path[-1]}' is not an embedded resource in this request",
                    hint=f"Verify that '{path[-1]}' is included in the 'select' query parameter.",
                )
        return rows

    def json(self, rows: Rows) -> str:
        """Return the SQL of one row as a JSON object."""
        if rows.everything:
            return f"row_to_json({rows.source.alias}.*)"
        if not rows.values:
            return "'{}'::json"
        pairs = ", ".join(
            f"({self._builder.bind(key)}, to_json({value}))" for key, value in rows.values
        )
        return f"(SELECT json_object_agg(o.k, o.v) FROM (VALUES {pairs}) AS o(k, v))"

    def _rows(
        self,
        source: Source,
        relation: str,
        items: tuple[Column | Embed, ...],
        *,
        path: Path = (),
        level: Level,
        condition: str = "",
    ) -> Rows:
        values: list[tuple[str, str]] = []
        joins: list[str] = []
        for item in items:
            if isinstance(item, Embed):
                values += self._embed(source, item, path, joins)
            elif item.field.name == "*" and not item.field.path:
                values += [(name, source.column(name)[0]) for name in source.table.columns]
            else:
                values.append((item.key, self._builder.column(source, item)))
        conditions = [condition, self._builder.where(source, level.where)]
        where = " AND ".join(each for each in conditions if each)
        tail = f"FROM {relation} AS {source.alias}{''.join(joins)}"
        return Rows(
            source,
            values,
            everything=len(items) == 1 and isinstance(items[0], Column) and items[0].key == "*",
            tail=f"{tail} WHERE {where}" if where else tail,
            order=self._builder.order(source, level.order),
        )

    def _limit(self, level: Level) -> str:
        limit = self._max_rows if level.limit is None else min(level.limit, self._max_rows)
        offset = f" OFFSET {self._builder.bind(str(level.offset), 'int8')}" if level.offset else ""
        return f" LIMIT {self._builder.bind(str(limit), 'int8')}{offset}"

    def _embed(
        self, parent: Source, item: Embed, path: Path, joins: list[str]
    ) -> list[tuple[str, str]]:
        """Add the join of an embedded table and return its part of the parent's row."""
        way = find_relationship(self._builder.schema, parent.table, item.name, item.hint)
        here = (*path, item.key)
        if here not in self._query.levels and (*path, item.name) in self._query.levels:
            here = (*path, item.name)
        self._visited.add(here)
        level = self._query.levels.get(here, Level())
        child = Source(self._builder.schema.table(way.target), self._builder.alias())
        relation, condition = self._link(parent, child, way)
        rows = self._rows(child, relation, item.items, path=here, level=level, condition=condition)
        alias = self._builder.alias()
        joined = f"{alias}.data"
        if way.to_many:
            rows.limit = self._limit(level)
            select = f"SELECT json_agg(r.data) AS data FROM ({rows.select(self.json(rows))}) AS r"
        else:
            select = rows.select(self.json(rows))
        join, on = ("JOIN", f"{joined} IS NOT NULL") if item.inner else ("LEFT JOIN", "TRUE")
        joins.append(f" {join} LATERAL ({select}) AS {alias} ON {on}")
        parent.embedded[item.key] = joined
        if not item.items:
            return []
        return [(item.key, f"coalesce({joined}, '[]'::json)" if way.to_many else joined)]

    def _link(self, parent: Source, child: Source, way: Relationship) -> tuple[str, str]:
        """Return the child's FROM item and the condition that joins it to its parent."""
        near, relation = child.alias, public(way.target)
        pairs = [(parent.column(ours)[0], theirs) for ours, theirs in way.pairs]
        conditions = []
        if way.junction is not None:
            near = self._builder.alias()
            relation = f"{public(way.junction)} AS {near}, {relation}"
            conditions = [f"{near}.{quoted(a)} = {child.column(b)[0]}" for a, b in way.far or []]
        conditions += [f"{ours} = {near}.{quoted(theirs)}" for ours, theirs in pairs]
        return relation, " AND ".join(conditions)
