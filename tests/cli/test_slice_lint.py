"""`./app check` says what a copied folder or a new table forgets, with file and line."""

import pytest

from cli.slice_lint import findings
from kit.removal import ROOT

ROUTE = '@router.get("/things/{thing_id}")\nasync def get_it(): ...\n'
TABLE = """\
create table public.things (
  id uuid primary key,
  owner_id uuid not null references public.users (id) on delete cascade,
  title text check (char_length(title) < 9),
  created_at timestamptz
);
create index things_owner on public.things (owner_id, created_at desc);
alter table public.things enable row level security;
"""
LIST = """
create function public.list_things() returns setof public.things language sql as $$
  select * from public.things where owner_id = (select auth.uid())
  order by created_at desc limit 9
$$;
"""


@pytest.fixture
def found(tmp_path):
    """Returns the findings in a checkout: `found(test="…", sql="…", handler="…")`."""

    def found(*, test="get('/things/1')", sql=TABLE, handler=""):
        files = {
            "features/shared/__init__.py": "",
            "features/get_it/__init__.py": "",
            "features/get_it/route.py": f"# The route.\n{ROUTE}",
            "features/get_it/handler.py": handler,
            "tests/features/get_it/test_get_it.py": test,
            "supabase/migrations/1_things.sql": sql,
        }
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return [str(one) for one in findings(tmp_path)]

    return found


def test_the_slices_and_tables_of_the_application_are_clean():
    assert findings(ROOT) == []


def test_an_empty_checkout_is_a_fault(tmp_path):
    with pytest.raises(ValueError, match="There are no slices"):
        findings(tmp_path)


@pytest.mark.parametrize(
    "test",
    [
        "get('/things/1')",
        "get(f'/things/{thing.id}')",
        "get(f'/api/v1/things/{thing.id}?a=1')",
        "URL = '/things'\nget(f'{URL}/1')",
    ],
)
def test_a_route_that_a_test_calls_is_fine(found, test):
    assert found(test=test) == []


@pytest.mark.parametrize(
    "test", ["", "get('/posts/1')", "get('/things')", "get('/things/1/more')", "# '/things/1'"]
)
def test_a_route_that_no_test_calls_is_found(found, test):
    (one,) = found(test=test)
    assert one == (
        "features/get_it/route.py:2: no test in tests/features/get_it calls GET "
        "/things/{thing_id}: change the paths in its tests, or write one."
    )


def test_a_table_without_row_security_is_found(found):
    (one,) = found(sql=TABLE.replace("alter table", "-- alter table"))
    assert one.startswith("supabase/migrations/1_things.sql:1: public.things has no row security:")


@pytest.mark.parametrize(
    "sql",
    [
        TABLE.replace("create index", "-- create index"),
        TABLE.replace("(owner_id, created_at desc)", "(created_at, owner_id)"),
        TABLE.replace("on public.things (owner", "on public.others (owner"),
    ],
)
def test_a_foreign_key_without_an_index_is_found(found, sql):
    (one,) = found(sql=sql)
    assert one.startswith(
        "supabase/migrations/1_things.sql:3: the foreign key owner_id of public.things has no index"
    )
    assert "create index on public.things (owner_id)" in one


@pytest.mark.parametrize(
    "line",
    [
        "alter table public.things add column of_id uuid references public.users (id);",
        "alter table public.things add constraint of foreign key (of_id) references x (id);",
    ],
)
def test_a_foreign_key_that_is_added_is_found(found, line):
    (one,) = found(sql=f"{TABLE}{line}\n")
    assert one.startswith("supabase/migrations/1_things.sql:9: the foreign key of_id")
    assert found(sql=f"{TABLE}{line} -- no index: never deleted\n") == []


def test_an_order_without_an_index_is_found_in_a_migration(found):
    assert found(sql=TABLE + LIST) == []
    (one,) = found(sql=TABLE + LIST.replace("by created_at", "by title"))
    assert one.startswith("supabase/migrations/1_things.sql:11: things is read in the order of tit")


def test_an_order_without_an_index_is_found_in_a_slice(found):
    query = '\ndb.table("things").select("*").order("{}", desc=True).order("id").limit(3)\n'
    assert found(handler=query.format("created_at")) == []
    (one,) = found(handler=query.format("title"))
    assert one.startswith("features/get_it/handler.py:2: things is read in the order of title")
