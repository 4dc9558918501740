"""The rules of the repository that no linter checks."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kernel.boot.discovery import discover

ROOT = Path(__file__).parents[2]
FEATURES = sorted(
    folder.name
    for folder in (ROOT / "features").iterdir()
    if folder.name != "shared" and any(folder.glob("*.py"))
)
CALLED = [name for name in FEATURES if (ROOT / "features" / name / "route.py").exists()]
PARTS, TESTS = ("platform", "devstack", "bench"), ROOT / "devstack" / "tests"
SLICE_LINES, FILE_LINES = 100, 400
PACKAGES = {"features", "devstack", "bench"}  # platform/ and tests/ are no packages themselves


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def misplaced(root: Path) -> set[str]:
    """Return Python code in places where it would shadow modules, or where checks would miss it.

    The root and `platform/` are on the import path, before the standard library. So a module or
    package there shadows any other of the same name. Files that are not Python may be anywhere.
    """
    modules = set(root.glob("*.py"))
    packages = {path for path in root.glob("*/__init__.py") if path.parent.name not in PACKAGES}
    shadows = {
        path
        for path in (root / "platform").glob("*")
        if path.stem in sys.stdlib_module_names and (path.suffix == ".py" or path.is_dir())
    }
    return {str(path.relative_to(root)) for path in modules | packages | shadows}


def test_python_code_lies_in_the_source_folders():
    assert misplaced(ROOT) == set(), "move it into features/, platform/ or a folder of scripts"


@pytest.mark.parametrize(
    "name", ["tool.py", "lib/__init__.py", "platform/__init__.py", "platform/logging/log.py"]
)
def test_misplaced_python_code_is_found(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    assert any(name.startswith(found) for found in misplaced(tmp_path))


def test_other_files_of_a_team_are_allowed(tmp_path):
    for name in (
        "LICENSE", "Makefile", "compose.yaml", ".vscode/launch.json", "frontend/main.ts",
        "scripts/load.py", "features/__init__.py", "platform/acme/__init__.py",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert misplaced(tmp_path) == set()


def test_platform_never_becomes_a_package():
    assert not (ROOT / "platform" / "__init__.py").exists()
    command = [sys.executable, "-c", "import platform; print(platform.__file__); import uuid"]
    for folder in (ROOT, ROOT / "platform"):
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        assert found.stdout.strip().endswith("platform.py")


@pytest.mark.parametrize("path", python_files("features"), ids=lambda path: path.name)
def test_a_slice_stays_under_100_lines_a_file(path):
    assert len(path.read_text().splitlines()) <= SLICE_LINES


@pytest.mark.parametrize(
    "path",
    [path for name in PARTS for path in python_files(name) if TESTS not in path.parents],
    ids=lambda path: path.name,
)
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
    assert names_of_tests(name), (
        f"features/{name} has no test: add tests/features/{name}/test_{name}.py, with a function "
        "test_… that calls the slice."
    )


@pytest.mark.parametrize("name", CALLED)
def test_every_slice_that_is_called_states_in_a_test_who_may_call(name):
    anyone = discover()[name].caller != "required"
    stated = re.compile("test_anyone_may_call" if anyone else r"test_only_(an?|the)_\w+_may_call")
    assert any(stated.fullmatch(test) for test in names_of_tests(name)), (
        f"features/{name} says who may call, and no test shows it: add {stated.pattern} to "
        f"tests/features/{name}."
    )


def classes_of_tests(name: str) -> dict[str, ast.ClassDef]:
    """Return the test classes of a slice by the name of their base class."""
    return {
        base.id: node
        for file in (ROOT / "tests" / "features" / name).glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name)
    }


def slice_of(tests: ast.ClassDef) -> str | None:
    """Return the `slice` that a test class states."""
    for node in tests.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "slice":
            return str(ast.literal_eval(node.value))
    return None


@pytest.mark.parametrize("name", FEATURES)
def test_every_slice_with_cached_reads_is_compared_with_the_lookup_off(name):
    if discover()[name].cached:
        tests = classes_of_tests(name).get("CachedReads")
        assert tests is not None, (
            f"features/{name} has a cached read: add a test class that subclasses CachedReads to "
            f"tests/features/{name}, as tests/kit/cached_reads.py shows."
        )
        assert slice_of(tests) == name, f'say slice = "{name}" in {tests.name}'


@pytest.mark.parametrize("name", FEATURES)
def test_every_slice_has_its_use_case_as_docstring(name):
    tree = ast.parse((ROOT / "features" / name / "__init__.py").read_text())
    assert ast.get_docstring(tree)
