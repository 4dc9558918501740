"""A parsed query string as values: the types between the parser and the SQL."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Step:
    """One arrow of a JSON path: `->key`, `->>key` or `->0`."""

    key: str
    as_text: bool
    index: bool


@dataclass(frozen=True)
class Field:
    """A column, and the path into its JSON."""

    name: str
    path: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Filter:
    """`field=not.operator(quantifier).value`; `argument` is the language of a text search."""

    field: Field
    operator: str
    value: str | tuple[str, ...]
    negated: bool = False
    quantifier: Literal["any", "all"] | None = None
    argument: str | None = None


@dataclass(frozen=True)
class Logic:
    """Logic: `and=(…)`, `or=(…)` and nested terms."""

    any_of: bool
    negated: bool
    terms: "tuple[Filter | Logic, ...]"


@dataclass(frozen=True)
class Order:
    """One term of `order=`; `nulls` is their place, None is PostgreSQL's default."""

    field: Field
    descending: bool = False
    nulls: Literal["FIRST", "LAST"] | None = None


@dataclass(frozen=True)
class Column:
    """`alias:field::cast` in a select; the name `*` stands for all columns."""

    field: Field
    alias: str | None = None
    cast: str | None = None

    @property
    def key(self) -> str:
        """The key in the answer: the alias, the path's last name, or the column."""
        names = [step.key for step in self.field.path if not step.index]
        return self.alias or (names[-1] if names else self.field.name)


@dataclass(frozen=True)
class Embed:
    """`alias:table!hint!inner(items)` in a select."""

    name: str
    items: "tuple[Column | Embed, ...]"
    alias: str | None = None
    hint: str | None = None
    inner: bool = False

    @property
    def key(self) -> str:
        """The name that other parameters use for it."""
        return self.alias or self.name


@dataclass
class Level:
    """The parameters of one table of the tree; a limit of None is no limit."""

    where: list[Filter | Logic] = field(default_factory=list)
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0


@dataclass
class Query:
    """A parsed query string; `levels` by the path of embedded tables, `()` is the root."""

    select: tuple[Column | Embed, ...] = (Column(Field("*")),)
    levels: dict[tuple[str, ...], Level] = field(default_factory=lambda: {(): Level()})
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] = ()
    arguments: list[tuple[str, str]] = field(default_factory=list)
    canonical: str = ""

    @property
    def root(self) -> Level:
        """The level of the table that the path names."""
        return self.levels[()]
