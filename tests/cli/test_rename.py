"""`./app rename`, in a copy of the checkout."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cli.rename import RenameError, changes_to
from features import APP_NAME

ROOT = Path(__file__).parents[2]
BOILERPLATE = "Slices"
# Parts of the checkout in which the boilerplate's name must be replaced, if they exist.
SHIPPED = (
    "app", "features", "platform", "devstack", "supabase", "deploy", ".github", ".devcontainer",
    "pyproject.toml", ".env.example", "compose.yaml", "Dockerfile", "requirements.lock",
)  # fmt: skip


SENDER = """
from kernel.config.settings import Settings
url = "https://project.supabase.co"
keys = {"supabase_key": "a", "supabase_service_key": "b"}
print(Settings(supabase_url=url, redis_host="cache", **keys).mail_from)
"""


@pytest.fixture
def copy(tmp_path):
    for name in SHIPPED:
        path = ROOT / name
        if path.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, tmp_path / name, ignore=ignored)
        elif path.exists():
            shutil.copy2(path, tmp_path)
    return tmp_path


def run(root, *words):
    """Run the command in a copy, with this environment's packages and the copy's own code."""
    paths = [root, root / "platform"]
    return subprocess.run(
        [sys.executable, "-m", "cli", *words],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "ENV_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )


def contents(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.suffix != ".pyc"
            and path.is_file()}  # fmt: skip


def test_it_shows_what_it_changes_and_a_second_time_changes_nothing(copy):
    before = contents(copy)
    done = run(copy, "rename", "Quince Works")
    assert done.returncode == 0, done.stderr
    after = contents(copy)
    changed = {str(path.relative_to(copy)) for path in after if before.get(path) != after[path]}
    assert {"features/__init__.py", "pyproject.toml", "supabase/config.toml"} < changed
    assert {line for line in done.stdout.splitlines() if (copy / line).is_file()} == changed
    assert f'APP_NAME = "{APP_NAME}" → APP_NAME = "Quince Works"' in done.stdout
    again = run(copy, "rename", "  Quince   Works ")
    assert (again.returncode, contents(copy)) == (0, after)
    assert again.stdout == "It has this name already: nothing was changed.\n"


def test_each_place_has_the_new_name(copy):
    run(copy, "rename", "Ada & Söhne, O'Brien")
    printed = subprocess.run(
        [sys.executable, "-c", SENDER],
        cwd=copy,
        env={"PYTHONPATH": f"{copy}:{copy}/platform"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout == '"Ada & Söhne, O\'Brien" <no-reply@localhost>\n'
    project = tomllib.loads((copy / "pyproject.toml").read_text())["project"]
    assert project["name"] == "ada-sohne-o-brien"
    config = tomllib.loads((copy / "supabase/config.toml").read_text())
    assert config["project_id"] == "ada-sohne-o-brien"


def test_nothing_that_is_shipped_says_the_boilerplates_name_any_more(copy):
    run(copy, "rename", "Quince Works")
    said = {
        str(path.relative_to(copy))
        for path, content in contents(copy).items()
        if BOILERPLATE.encode() in without_authors(content)
    }
    # Old migrations keep the name; the newest one changes it.
    assert {name for name in said if not name.startswith("supabase/migrations/")} == set()


def without_authors(content):
    """Remove the boilerplate's authors: the licence requires that they are named."""
    lines = content.splitlines()
    return b"\n".join(line for line in lines if not line.startswith(b"authors = "))


def test_the_kernel_never_contains_the_boilerplates_name():
    said = []
    for path in sorted((ROOT / "platform" / "kernel").rglob("*")):
        if path.suffix == ".pyc" or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        if BOILERPLATE in text:
            said.append(path.name)
        if path.suffix == ".py":
            said += [path.name for one in literals(text) if BOILERPLATE.lower() in one.lower()]
    assert said == []


def literals(text):
    """Return the strings in a file's code without docstrings, where "slices" is a normal word."""
    tree = ast.parse(text)
    spoken = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value if isinstance(node.value, str) else node.value.decode("latin-1")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        and node not in spoken
    ]  # fmt: skip


def test_a_text_in_code_is_found_and_a_docstring_is_not():
    assert literals('"""What slices share."""\nx = Celery("slices")\n') == ["slices"]


async def test_the_site_takes_the_name_unless_an_admin_chose_another(copy, own_database):
    (change,) = [one for one in changes_to(copy, "Acme's API") if one.path.suffix == ".sql"]
    for chosen, expected in ((APP_NAME, "Acme's API"), ("Ada's Notebook", "Ada's Notebook")):
        await own_database.sql.execute("update public.settings set site_name = $1", chosen)
        await own_database.sql.execute(change.content)
        found = await own_database.sql.fetchval("select site_name from public.settings")
        assert found == expected


def test_the_new_migration_is_the_last(copy):
    run(copy, "rename", "Quince Works")
    run(copy, "rename", "Beta")
    *others, first, second = sorted(path.name for path in copy.glob("supabase/migrations/*.sql"))
    assert max(others) < first < second
    assert "'Quince Works'" in (copy / "supabase/migrations" / second).read_text()


def test_a_run_that_was_broken_off_is_finished_by_the_next(copy):
    *begun, _ = changes_to(copy, "Quince Works")
    for change in begun:
        change.path.write_text(change.content)
    assert [str(one.path.relative_to(copy)) for one in changes_to(copy, "Quince Works")] == [
        "features/__init__.py"
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([""], "A name has 1 to 80 characters"),
        (["a" * 81], "A name has 1 to 80 characters"),
        (["Acme <b>"], "'<' is not allowed there"),
        (['Say "hi"'], "'\"' is not allowed there"),
        (["Acme\x07"], "is not allowed there"),
        (["(Acme)"], "starts with a letter or digit"),
        (["日本"], "--package acme-api"),
        (["Acme", "--package", "Quince Works"], "lower-case letters, digits and hyphens"),
        (["FastAPI"], "--package fastapi-api"),
    ],
)
def test_a_name_that_cannot_be_given_is_one_sentence_and_changes_nothing(copy, words, told):
    before = contents(copy)
    done = run(copy, "rename", *words)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert contents(copy) == before


def test_a_name_without_latin_letters_has_a_package_that_is_named(copy):
    changes = list(changes_to(copy, "日本", "nihon"))
    assert json.dumps("日本", ensure_ascii=False) in changes[-1].content


def test_without_the_line_it_says_what_to_add(copy):
    (copy / "features/__init__.py").write_text('"""Nothing."""\n')
    with pytest.raises(RenameError, match="APP_NAME = "):
        list(changes_to(copy, "Quince Works"))


def test_files_that_a_team_has_removed_are_not_missed(copy):
    (copy / ".env.example").unlink()
    shutil.rmtree(copy / "supabase")
    assert [one.path.name for one in changes_to(copy, "Quince Works")] == [
        "pyproject.toml",
        "devcontainer.json",
        "__init__.py",
    ]
