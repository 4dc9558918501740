"""The rules of the repository that no linter knows."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FEATURES = sorted(
    folder.name
    for folder in (ROOT / "features").iterdir()
    if folder.name != "shared" and any(folder.glob("*.py"))
)
CALLED = [name for name in FEATURES if (ROOT / "features" / name / "route.py").exists()]
SLICE_LINES, FILE_LINES = 100, 400
TOP_LEVEL = {
    "features", "platform", "tests", "supabase", "deploy", "docs", "app", "compose.yaml",
    "Dockerfile", "pyproject.toml", "requirements.lock", ".env.example", "README.md",
    "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", ".ci", ".github", ".gitignore", ".git",
    ".dockerignore", ".env", ".venv", ".stack",
}  # fmt: skip
MADE_BY_TOOLS = (".coverage", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", "dist")


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_nothing_strange_lies_at_the_top():
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(MADE_BY_TOOLS)}
    assert found - TOP_LEVEL - {".import_linter_cache"} == set()


def test_platform_never_becomes_a_package():
    assert not (ROOT / "platform" / "__init__.py").exists()
    command = [sys.executable, "-c", "import platform; print(platform.__file__); import uuid"]
    for folder in (ROOT, ROOT / "platform"):
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        assert found.stdout.strip().endswith("platform.py")


@pytest.mark.parametrize("path", python_files("features"), ids=lambda path: path.name)
def test_a_slice_stays_under_100_lines_a_file(path):
    assert len(path.read_text().splitlines()) <= SLICE_LINES


@pytest.mark.parametrize("path", python_files("platform"), ids=lambda path: path.name)
def test_a_file_of_the_platform_stays_under_400_lines(path):
    assert len(path.read_text().splitlines()) <= FILE_LINES


def names_of_tests(name: str) -> set[str]:
    return {
        node.name
        for file in (ROOT / "tests" / "features" / name).glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


@pytest.mark.parametrize("name", FEATURES)
def test_every_slice_has_tests(name):
    assert names_of_tests(name)


@pytest.mark.parametrize("name", CALLED)
def test_every_slice_that_is_called_states_in_a_test_who_may_call(name):
    assert names_of_tests(name) & {
        "test_anyone_may_call",
        "test_only_a_user_may_call",
        "test_only_an_admin_may_call",
        "test_only_the_owner_may_call",
        "test_only_the_author_may_call",
    }


@pytest.mark.parametrize("name", FEATURES)
def test_every_slice_has_its_use_case_as_docstring(name):
    tree = ast.parse((ROOT / "features" / name / "__init__.py").read_text())
    assert ast.get_docstring(tree)


def test_the_lock_has_hashes_and_no_addresses():
    text = (ROOT / "requirements.lock").read_text()
    assert "--hash=sha256:" in text
    assert "://" not in text


def test_the_lock_holds_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    locked = {
        line.partition("==")[0].strip()
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if "==" in line and not line.startswith(" ")
    }
    for requirement in wanted:
        name = requirement.partition(";")[0].partition("[")[0].partition("=")[0].strip()
        assert name.lower() in locked
