"""The kinds of slices that `./app new` begins from, and the tables that it makes."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.fields import IMPORTS, Field, FieldError, checked_name, in_python, in_sql, parsed
from cli.renaming import Renaming, defined_in

_SLICES: Final = "tests/kit/kinds"
_TESTS: Final = "tests/kinds"
_MADE: Final = re.compile(r"^-- \./app new: table (\w+) of (\w+), owner (\S+):(.*)$", re.MULTILINE)
_NO_OWNER: Final = "-"


@dataclass(frozen=True)
class Kind:
    """A kind: its slice in tests/kit/kinds, and the words of its table."""

    slice: str
    what: str
    one: str = "note"
    many: str = "notes"
    fields: bool = True


KINDS: Final = {
    "read": Kind("read_note", "GET of one row, cached"),
    "list": Kind("list_notes", "GET of a page, cached"),
    "write": Kind("create_note", "POST of a new row"),
    "change": Kind("change_note", "PUT of a row"),
    "delete": Kind("delete_note", "DELETE of a row"),
    "job": Kind("notify_owner", "a mail after an event"),
    "schedule": Kind("delete_old_notes", "a job each night"),
    "webhook-in": Kind(
        "receive_delivery", "POST of a signed message", "delivery", "deliveries", fields=False
    ),
}


@dataclass(frozen=True)
class Table:
    """A table that `./app new` has made or is to make."""

    many: str
    one: str
    owner: str | None
    fields: tuple[Field, ...]
    exists: bool = False

    @property
    def mark(self) -> str:
        """The first line of its migration; the next `./app new` reads it."""
        fields = "".join(f" {field.written}" for field in self.fields)
        owner = self.owner or _NO_OWNER
        return f"-- ./app new: table {self.many} of {self.one}, owner {owner}:{fields}"


def singular(many: str) -> str:
    """Return the word for one row. Raises FieldError if it cannot be derived."""
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("s", "")):
        if many.endswith(ending) and not many.endswith("ss"):
            return many.removesuffix(ending) + instead
    raise FieldError(f"What is one row of {many} called? Say it, as in --one sheep.")


def table_made_by(sql: str) -> str | None:
    """Return the table that this migration of `./app new` makes, if it is one of these."""
    found = _MADE.search(sql)
    return found[1] if found else None


def table_of(
    root: Path, kind: Kind, name: str, *, one: str | None, owner: str | None, fields: str | None
) -> Table:
    """Return the table that the options name. Raises FieldError."""
    checked_name("table", name)
    migrations = sorted((root / "supabase" / "migrations").glob("*.sql"))
    texts = [path.read_text(encoding="utf-8") for path in migrations]
    made = {found[1]: found for text in texts for found in _MADE.finditer(text)}
    if known := made.get(name):
        if owner or fields or one:
            raise FieldError(f"The table {name} exists: leave out --owner, --fields and --one.")
        owner = None if known[3] == _NO_OWNER else known[3]
        if kind.fields != (owner is not None):
            raise FieldError(f"The table {name} is not for this kind of slice: name a new table.")
        own = tuple(parsed(known[4], str(owner))) if kind.fields else ()
        return Table(name, known[2], owner, own, exists=True)
    if any(re.search(rf"\btable (if not exists )?(public\.)?{name}\b", text) for text in texts):
        raise FieldError(
            f"The table {name} was not made by ./app new, which does not know its columns: copy a "
            "slice that uses it, with --from SLICE and without --table, or name a new table."
        )
    if (root / "features" / "shared" / f"{name}.py").exists():
        raise FieldError(f"features/shared/{name}.py exists already: name another table.")
    one = checked_name("row", one or singular(name), name)
    if not kind.fields:
        if owner or fields:
            raise FieldError("This kind stores whole messages: leave out --owner and --fields.")
        return Table(name, one, None, ())
    owner = checked_name("column", owner or "user_id", "id", "created_at", "updated_at")
    if not fields:
        raise FieldError(f"Name the columns of {name}: --fields 'url:text title:text?'.")
    return Table(name, one, owner, tuple(parsed(fields, owner)))


def copies(root: Path, kind: Kind, name: str, table: Table, version: int) -> dict[str, str]:
    """Return the files of a new slice of this kind, by path: slice, tests, words and migration."""
    words = {kind.slice: name, kind.one: table.one, kind.many: table.many}
    if table.owner:
        words["owner_id"] = table.owner
    slices, tests = root / _SLICES, root / _TESTS
    shared = slices / "shared" / f"{kind.many}.py"
    found = [(file, f"features/{name}/{file.relative_to(slices / kind.slice)}")
             for file in _files(slices / kind.slice)]  # fmt: skip
    found += [(file, f"tests/features/{name}/{file.name}") for file in _files(tests / kind.slice)]
    if not table.exists:
        found.append((shared, f"features/shared/{table.many}.py"))
    sources = {file: file.read_text(encoding="utf-8") for file, _ in [*found, (shared, "")]}
    python = [text for file, text in sources.items() if file.suffix == ".py"]
    renaming = Renaming(words, defined_in(python), own=("kit.kinds.",))
    written: dict[str, str] = {}
    for file, path in found:
        text = sources[file]
        if file.suffix == ".py":
            # The fields come last: one may be called like a word that is renamed.
            text = _with_fields(renaming.code(text), table)
            text = text.replace("from ..shared.", "from features.shared.")
            text = text.replace("from kit.kinds.", "from features.")
        else:
            text = renaming.text(text)
        written[_renamed(path, kind.slice, name)] = text
    sql = _sql(root, kind, table, renaming)
    written[f"supabase/migrations/{version}_{name}.sql"] = sql
    return written


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in {".py", ".txt", ".html"})


def _renamed(path: str, old: str, new: str) -> str:
    head, slash, last = path.rpartition("/")
    return f"{head}{slash}{last.replace(f'test_{old}', f'test_{new}')}"


def _with_fields(source: str, table: Table) -> str:
    changed = in_python(source, table.fields) if table.fields else source
    if changed == source or "pydantic" not in source:
        return changed
    begin = source.index("from ")
    return changed[:begin] + "\n".join(IMPORTS) + "\n" + changed[begin:]


def _sql(root: Path, kind: Kind, table: Table, renaming: Renaming) -> str:
    folder = root / _TESTS / "sql"
    own = (folder / f"{kind.slice}.sql").read_text(encoding="utf-8")
    if not table.exists:
        own = (folder / f"{kind.many}.sql").read_text(encoding="utf-8") + "\n" + own
    sql = renaming.sql(own)
    sql = in_sql(sql, table.fields) if table.fields else sql
    return f"{table.mark}\n{sql}" if not table.exists else sql
