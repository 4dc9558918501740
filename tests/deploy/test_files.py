"""A tool checks every file of a deployment, and each tool finds a fault."""

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from kit import manifests
from kit.postgres import program

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BINARIES = Path(sys.executable).parent
# The test and the tool that check each kind of file.
JUDGED = {
    ".cfg": ("tests/deploy/test_proxy.py", "haproxy -c"),
    ".json": ("tests/deploy/test_monitoring.py", "its own program, and a real Prometheus"),
    ".env": ("tests/kit/manifests.py", "the settings of the code"),
    ".py": ("./app check", "ruff"),
    ".sh": (__name__, "shellcheck"),
    ".sql": (__name__, "psql"),
    ".yaml": (__name__, "yamllint"),
    ".yml": (__name__, "yamllint"),
}


def files(*suffixes):
    found = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "deploy"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    paths = [ROOT / name for name in found if (ROOT / name).exists()]
    return [path for path in paths if not suffixes or path.suffix in suffixes]


def run(*command, **options):
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT, **options
    )


def shellcheck():
    return shutil.which("shellcheck") or pytest.skip("apt-get install shellcheck, as .ci/run does")


def test_every_file_has_a_tool_that_judges_it():
    unknown = [path for path in files() if path.suffix not in JUDGED]
    assert unknown == []
    assert len(files()) > 20


def rows(text):
    """Return the patterns of files and the tests in each row of the table of OPERATIONS.md."""
    table = text.partition("## What checks the files")[2].partition("\n## ")[0]
    cells = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    return [(re.findall("`(.+?)`", one[1]), re.findall("`(.+?)`", one[3])) for one in cells]


def test_the_table_of_operations_names_each_file_and_tests_that_exist():
    table = rows((ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8"))
    patterns = [pattern for found, _ in table for pattern in found]
    names = [path.relative_to(ROOT).as_posix() for path in files()]
    assert [one for one in names if not any(fnmatch(one, found) for found in patterns)] == []
    assert [one for one in patterns if not any(fnmatch(name, one) for name in names)] == []
    assert all((ROOT / test).exists() for _, tests in table for test in tests)
    assert len(table) > 5


def test_scripts_are_clean_for_shellcheck():
    scripts = [*files(".sh"), ROOT / ".ci" / "run"]
    done = run(shellcheck(), *scripts)
    assert done.returncode == 0, done.stdout


def test_shellcheck_finds_a_fault(tmp_path):
    (tmp_path / "wrong.sh").write_text("#!/bin/sh\nrm -r $1/*\n")
    assert run(shellcheck(), tmp_path / "wrong.sh").returncode == 1


def test_yaml_is_clean_for_yamllint():
    done = run(BINARIES / "yamllint", "--strict", "deploy", "compose.yaml", ".github")
    assert done.returncode == 0, done.stdout


def test_yamllint_finds_a_key_that_is_there_twice(tmp_path):
    (tmp_path / "wrong.yaml").write_text("api: 1\nother: 2\napi: 3\n")
    assert run(BINARIES / "yamllint", tmp_path / "wrong.yaml").returncode == 1


def test_the_dockerfile_is_clean_for_hadolint():
    done = run(BINARIES / "hadolint", "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_hadolint_finds_a_fault():
    wrong = "FROM debian\nRUN apt-get install curl\n"
    assert run(BINARIES / "hadolint", "-", input=wrong).returncode == 1


def test_workflows_are_clean_for_zizmor():
    done = run(BINARIES / "zizmor", "--offline", "--no-progress", ".github")
    assert done.returncode == 0, done.stdout


def test_zizmor_finds_a_fault(tmp_path):
    (tmp_path / "wrong.yml").write_text(
        "on: pull_request\n"
        "jobs:\n  one:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo ${{ github.event.pull_request.title }}\n"
    )
    done = run(BINARIES / "zizmor", "--offline", "--no-progress", tmp_path / "wrong.yml")
    assert done.returncode != 0
    assert "template-injection" in done.stdout


# A test database may lack these roles; the rollback removes them.
ROLES = """begin;
do $$ declare name text; begin
  foreach name in array array['authenticator', 'supabase_auth_admin', 'supabase_storage_admin'] loop
    if not exists (select from pg_roles where rolname = name) then
      execute format('create role %I', name);
    end if;
  end loop;
end $$;
"""


@pytest.mark.parametrize(("more", "code"), [("", 0), ("alter usr nobody;", 3)])
def test_sql_is_what_postgres_takes(postgres_url, more, code):
    for path in files(".sql"):
        done = run(
            *(program("psql"), "--dbname", postgres_url, "--no-psqlrc", "--set=ON_ERROR_STOP=1"),
            input=f"{ROLES}{path.read_text(encoding='utf-8')}{more}rollback;",
            env={**os.environ, "POSTGRES_PASSWORD": "pass'word"},
        )
        assert done.returncode == code, done.stderr


@pytest.mark.skipif(bool(why := manifests.why_not()), reason=why or "")
def test_every_kustomization_renders():
    for path in DEPLOY.rglob("kustomization.yaml"):
        assert manifests.render(path.parent)
