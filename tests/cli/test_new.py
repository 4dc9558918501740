"""`./app new` and `./app remove`: refusals at once, and whole slices in a copy of the checkout."""

import subprocess

import pytest

from cli import new, remove
from cli.copying import with_strings
from cli.fields import FieldError, in_python, in_sql, parsed
from cli.kinds import KINDS, singular
from cli.new import make
from kernel.boot.discovery import discover
from kit.checkouts import Checkout
from kit.removal import ROOT, checkout

FIELDS = "url:text note:text? rating:integer read_at:timestamptz?"  # note: a word of the kinds
TABLE = ("--table", "bookmarks", "--owner", "user_id", "--fields", FIELDS)
QUICK = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("lint-imports",),
    ("python", "-m", "cli.migration_lint"),
    ("python", "-m", "cli", "features", "--check"),
)
A_SLICE = min(discover())


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("Save", {"kind": "write"}, "take lower-case words joined by _"),
        ("save-it", {"kind": "write"}, "take lower-case words joined by _"),
        ("x" * 41, {"kind": "write"}, "at most 40 characters"),
        ("import", {"kind": "write"}, "is a reserved word of Python"),
        ("shared", {"kind": "write"}, "is used already"),
        (A_SLICE, {"kind": "write"}, f"features/{A_SLICE} exists already"),
        ("save_it", {}, "Say what to begin from: --from SLICE"),
        ("save_it", {"kind": "write", "source": A_SLICE}, "one of the two: --from or --kind"),
        ("save_it", {"source": "no_slice"}, "There is no slice 'no_slice'"),
        ("save_it", {"source": f"{A_SLICE}s"}, f"Did you mean {A_SLICE}"),
        ("save_it", {"kind": "put"}, "There is no kind 'put': take one of read, list"),
        ("save_it", {"kind": "write"}, "needs a table: --table bookmarks --fields"),
        ("save_it", {"source": A_SLICE, "owner": "x"}, "name it by --table"),
        ("save_it", {"kind": "write", "table": "order"}, "is a reserved word of SQL"),
        ("save_it", {"kind": "write", "table": "orders"}, "for the row, as in --one purchase"),
        ("save_it", {"kind": "write", "table": "bookmarks"}, "Name the columns of bookmarks"),
        ("save_it", {"kind": "write", "table": "sheep", "fields": "a:text"}, "as in --one sheep"),
        ("save_it", {"kind": "write", "table": "profiles"}, "was not made by ./app new"),
        (
            "get_paid",
            {"kind": "webhook-in", "table": "payments", "owner": "a"},
            "leave out --owner",
        ),
    ],
)
def test_what_cannot_be_made_is_one_sentence_that_says_what_to_do(name, options, sentence):
    with pytest.raises(FieldError, match=sentence) as refused:
        make(ROOT, name, **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ("url", "'url' has no type that is known: write url:TYPE"),
        ("url:varchar", "has no type that is known"),
        ("Url:text", "lower-case words"),
        ("id:text", "id is used already"),
        ("user_id:text", "user_id is used already"),
        ("url:text url:text", "url is used already"),
        ("json:text", "json is used already"),
        ("url:text date:date?", "date is used already"),
        ("model_x:text", "are pydantic's"),
        ("order:integer", "reserved word of SQL"),
        ("class:text", "reserved word of Python"),
        ("title:text?", "needs a field that is not null"),
        ("", "needs a field that is not null"),
    ],
)
def test_a_field_that_cannot_be_is_one_sentence(fields, sentence):
    with pytest.raises(FieldError, match=sentence):
        parsed(fields, "user_id")


def test_fields_take_the_place_of_the_kinds_own():
    fields = parsed("url:text read:boolean?", "user_id")
    assert in_python("class A(BaseModel):\n    label: str\n", fields) == (
        "class A(BaseModel):\n    url: str\n    read: bool | None\n"
    )
    assert "    read: StrictBool | None = None\n" in in_python(
        "class A(Body):\n    label: x\n", fields
    )
    assert in_python('N = {"label": "A note"}', fields) == 'N = {"url": "A url", "read": True}'
    assert in_python('{"INSERT(label)"}', fields) == '{"INSERT(url)", "INSERT(read)"}'
    assert in_sql("  label text,\ngrant insert (label)", fields) == (
        "  url text not null check (char_length(url) <= 2000),\n  read boolean,\n"
        "grant insert (url, read)"
    )


@pytest.mark.parametrize(
    ("many", "one"),
    [("bookmarks", "bookmark"), ("entries", "entry"), ("boxes", "box"), ("classes", "class"),
     ("price_alerts", "price_alert")],
)  # fmt: skip
def test_one_row_has_the_singular_of_the_table(many, one):
    assert singular(many) == one


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('get("/posts/{post_id}")', 'get("/posts/{post_id}/pin")'),
        ('get(f"/posts/{post.id}?a=1")', 'get(f"/posts/{post.id}/pin?a=1")'),
        ('x["/api/v1/posts/{post_id}"]', 'x["/api/v1/posts/{post_id}/pin"]'),
        ('get("/posts")', 'get("/posts")'),
        ('get("/rest/v1/posts?id=eq.1")', 'get("/rest/v1/posts?id=eq.1")'),
        ('Cached("post:{post_id}")', 'Cached("pin:post:{post_id}")'),
        ('keys("cache:*:post:1")', 'keys("cache:*:pin:post:1")'),
    ],
)
def test_a_copy_has_other_paths_and_cache_keys(before, after):
    paths = {"/api/v1/posts/{post_id}": "/api/v1/posts/{post_id}/pin"}
    assert with_strings(before, paths, {"post:{post_id}": "pin:post:{post_id}"}) == after


def test_the_kinds_are_slices_that_start():
    slices = discover("kit.kinds")
    assert {kind.slice for kind in KINDS.values()} == slices.keys()


def test_a_failure_on_the_way_leaves_no_file(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        new._write(tmp_path, "save_it", {"features/save_it/route.py": "no Python"})
    assert not (tmp_path / "features").exists()


def test_an_unknown_slice_is_not_removed():
    with pytest.raises(remove.RemoveError, match=r"There is no slice 'no_slice'\. There are: "):
        remove.known(ROOT, "no_slice")
    with pytest.raises(remove.RemoveError, match=rf"Did you mean {A_SLICE}\b"):
        remove.known(ROOT, f"{A_SLICE}s")


def test_what_else_mentions_a_slice_is_said_by_file_and_line(tmp_path):
    for path, text in {
        "docs/A.md": "one\nuse get_it here\n",
        "docs/B.md": "target_get_it get_item\n",
        "supabase/migrations/1_a.sql": "-- get_it\n",
        "docs/SLICES.md": "| get_it |\n",
        "features/shared/words.py": "",
        "features/shared/used.py": "",
        "features/a/__init__.py": "from features.shared.used import x\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert list(remove.mentions(tmp_path, "get_it")) == ["docs/A.md:2"]
    assert remove.unused(tmp_path) == ["features/shared/words.py"]


def test_the_migrations_that_a_removed_slice_leaves_are_named(tmp_path):
    mark = "-- ./app new: table {} of one, owner user_id: a:text\n"
    for path, text in {
        "supabase/migrations/20270101000001_save_it.sql": mark.format("its"),
        "supabase/migrations/20270101000002_list_its.sql": "select 1;\n",
        "supabase/migrations/20270101000003_other_save_it.sql": mark.format("others"),
        "features/shared/its.py": "",
        "features/shared/others.py": "",
        "features/list_its/__init__.py": "from features.shared.its import x\n",
        "features/other/__init__.py": "from features.shared.others import x\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    made = "supabase/migrations/20270101000001_save_it.sql made the table its"
    kept = list(remove.migrations(tmp_path, "save_it"))
    assert kept == [f"{made}, which other slices use: keep it"]
    (tmp_path / "features/list_its/__init__.py").unlink()
    assert list(remove.migrations(tmp_path, "list_its")) == [
        made,
        "supabase/migrations/20270101000002_list_its.sql has the name of the slice",
    ]


def test_a_name_that_is_a_plain_word_counts_in_paths_and_quotes_only(tmp_path):
    (tmp_path / "docs").mkdir()
    lines = ("greet them", "`greet`", "features/greet", "features.greet", "'greet'", '"greet"',
             "features/greeted", "'greet`")  # fmt: skip
    (tmp_path / "docs/A.md").write_text("\n".join(lines))
    assert list(remove.mentions(tmp_path, "greet")) == [f"docs/A.md:{one}" for one in range(2, 7)]


@pytest.fixture
def copy():
    with checkout() as root:
        yield Checkout(root)


@pytest.mark.slow
def test_new_slices_pass_their_tests_and_the_checks_and_can_be_removed(copy):
    lists = copy.app("new", "save_bookmark", "--kind", "write", *TABLE)
    assert "supabase/migrations/" in lists
    assert "Say the use case in one sentence: features/save_bookmark/__init__.py" in lists
    copy.app("new", "list_bookmarks", "--kind", "list", "--table", "bookmarks")
    for command in QUICK:
        copy.run(*command)
    own = ("tests/features/save_bookmark", "tests/features/list_bookmarks")
    copy.tests(*own, "tests/contract/test_grants.py", "tests/contract/test_events.py")
    said = copy.app("remove", "list_bookmarks", "--yes")
    assert "_list_bookmarks.sql has the name of the slice\nIf no database has applied one" in said
    assert not (copy.root / "features" / "list_bookmarks").exists()
    copy.tests("tests/contract/test_grants.py")


@pytest.mark.nightly
def test_all_kinds_pass_their_tests_and_all_checks(copy):
    names = {kind: f"try_{kind.replace('-', '_')}" for kind in KINDS}
    for kind, name in names.items():
        if not KINDS[kind].fields:
            copy.app("new", name, "--kind", kind, "--table", "price_alerts")
        elif kind == "read":
            copy.app("new", name, "--kind", kind, *TABLE)
        else:
            copy.app("new", name, "--kind", kind, "--table", "bookmarks")
    copy.app("check")
    folders = [f"tests/features/{name}" for name in names.values()]
    copy.tests(*folders, "tests/contract", "tests/architecture", "-m", "not slow and not nightly")


@pytest.mark.nightly
@pytest.mark.parametrize("name", sorted(n for n, one in discover().items() if not one.jobs))
def test_a_copy_of_each_slice_passes_its_tests(copy, name):
    copy.app("new", "try_it", "--from", name)
    copy.tests("tests/features/try_it", "-m", "not slow and not nightly")
