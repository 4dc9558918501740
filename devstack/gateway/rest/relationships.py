"""Relationships of two tables: by a foreign key either way, or through a junction table."""

from collections.abc import Iterator
from dataclasses import dataclass

from devstack.gateway.rest.errors import RestError, unsupported
from devstack.gateway.rest.schema import ForeignKey, Schema, Table


@dataclass(frozen=True)
class Relationship:
    """One path from a parent to the embedded table.

    `pairs` are [parent column, child column]; with a `junction`, [parent column, junction column],
    and `far` are [junction column, child column]. `key` is the constraint or junction that a hint
    can name, `columns` are those of the foreign key, which a hint can name, too.
    """

    target: str
    to_many: bool
    pairs: list[list[str]]
    key: str
    columns: tuple[str, ...] = ()
    junction: str | None = None
    far: list[list[str]] | None = None

    @property
    def cardinality(self) -> str:
        """PostgREST's term, used in the error about several relationships."""
        if self.junction is not None:
            return "many-to-many"
        return "one-to-many" if self.to_many else "many-to-one"


def find_relationship(schema: Schema, parent: Table, name: str, hint: str | None) -> Relationship:
    """Return the one relationship of `parent` with a table, constraint or column `name`.

    Raises RestError: 400 PGRST200 for none, 300 PGRST201 for more than one, 501 for those of views
    and for computed ones.
    """
    found = [way for way in _ways(schema, parent) if _named(way, name)]
    if hint is not None:
        found = [way for way in found if hint == way.key or way.columns == (hint,)]
    if len(found) == 1:
        return found[0]
    if found:
        raise _ambiguous(parent, name, found)
    child = schema.tables.get(name)
    if child is not None and (parent.view or child.view):
        raise unsupported("embedding from or into a view")
    if schema.computes(parent, name):
        raise unsupported("embedding by a function (a computed relationship)")
    hinted = f" using the hint '{hint}'" if hint is not None else ""
    raise RestError(
        400,
        "PGRST200",
        f"Could not find a relationship between '{parent.name}' and '{name}' in the schema cache",
        details=f"Searched for a foreign key relationship between '{parent.name}' and '{name}'"
        f"{hinted} in the schema 'public', but no matches were found.",
    )


def _named(way: Relationship, name: str) -> bool:
    if way.junction is not None:
        return name == way.target
    by_column = not way.to_many and way.columns == (name,)
    return name in {way.target, way.key} or by_column


def _ways(schema: Schema, parent: Table) -> Iterator[Relationship]:
    for key in schema.foreign_keys:
        columns = tuple(source for source, _ in key.pairs)
        if key.source == parent.name:
            yield Relationship(key.target, False, key.pairs, key.name, columns)  # noqa: FBT003 - a field
        if key.target == parent.name:
            pairs = _reversed(key)
            yield Relationship(key.source, not key.unique, pairs, key.name, columns)
            yield from _through(schema, key)


def _through(schema: Schema, near: ForeignKey) -> Iterator[Relationship]:
    """Yield the tables on the other side of a junction: one whose key holds both foreign keys."""
    columns = {source for source, _ in near.pairs}
    key = set(schema.tables[near.source].key)
    for far in schema.foreign_keys:
        both = columns | {source for source, _ in far.pairs}
        if far.source == near.source and far != near and both <= key:
            yield Relationship(
                target=far.target,
                to_many=True,
                pairs=_reversed(near),
                key=near.source,
                junction=near.source,
                far=far.pairs,
            )


def _reversed(key: ForeignKey) -> list[list[str]]:
    return [[target, source] for source, target in key.pairs]


def _ambiguous(parent: Table, name: str, found: list[Relationship]) -> RestError:
    hints = ", ".join(f"'{way.target}!{way.key}'" for way in found)
    return RestError(
        300,
        "PGRST201",
        "Could not embed because more than one relationship was found for "
        f"'{parent.name}' and '{name}'",
        details=[
            {
                "cardinality": way.cardinality,
                "embedding": f"{parent.name} with {way.target}",
                "relationship": way.key,
            }
            for way in found
        ],
        hint=f"Try changing '{name}' to one of the following: {hints}. "
        "Find the desired relationship in the 'details' key.",
    )
