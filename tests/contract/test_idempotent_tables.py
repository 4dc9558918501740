"""A slice with `Feature(idempotent=True)` inserts only into tables that keep Idempotency-Keys."""

import ast
from pathlib import Path

import features
from kernel.boot.discovery import discover
from kit import slices
from kit.application import SLICES

FOLDERS = {
    Path(str(package.__file__)).parent / name: name
    for package, found in ((features, discover()), (slices, SLICES))
    for name, feature in found.items()
    if feature.idempotent
}
PROTECTED = """select relname from pg_trigger t join pg_class c on c.oid = t.tgrelid
where t.tgname = 'zz_idempotency' and t.tgenabled <> 'D'
  and c.relnamespace = 'public'::regnamespace"""


def inserted(folder):
    """Return the tables in `.table("…").insert(…)` of a slice; None for one that is no literal."""
    tables: set[str | None] = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Call() as of, attr="insert" | "upsert")):
                    match of:
                        case ast.Call(
                            func=ast.Attribute(attr="table"), args=[ast.Constant(value=str(name))]
                        ):
                            tables.add(name)
                        case _:
                            tables.add(None)
    return tables


def faults(folder, protected):
    """Return what is wrong with a slice; nothing if a repeat of its request is safe."""
    tables = inserted(folder)
    if not tables:
        return [f"{folder.name} inserts nothing by db.table(…).insert(…): no key is kept"]
    return [
        f"{folder.name} inserts into {table}: add select idempotency.protect('public.{table}');"
        for table in tables - protected
    ]


async def test_slices_that_clients_may_repeat_insert_only_into_protected_tables(database):
    protected = {row["relname"] for row in await database.fetch(PROTECTED)}
    assert "things" in protected
    assert "write_thing" in FOLDERS.values()
    assert [fault for folder in FOLDERS for fault in faults(folder, protected)] == []


def test_a_forgotten_protection_is_found(tmp_path):
    (tmp_path / "handler.py").write_text(
        """async def write(db, row):
    await db.table("notes").insert(row).execute()
    await db.table("posts").insert(row).execute()
"""
    )
    (fault,) = faults(tmp_path, {"posts", "things"})
    assert "protect('public.notes')" in fault


def test_a_slice_that_keeps_no_key_at_all_is_found(tmp_path):
    (tmp_path / "handler.py").write_text("async def write(db): await db.rpc('write_note')")
    assert "no key is kept" in faults(tmp_path, {"posts"})[0]
    (tmp_path / "handler.py").write_text("def write(db, name): db.table(name).insert({})")
    assert faults(tmp_path, {"posts"}) != []
