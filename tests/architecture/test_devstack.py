"""The local stack is a separate project: its public modules, its dependencies, and its users."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import devstack
import devstack.testing

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "devstack"
TESTS = FOLDER / "tests"
OUTSIDE = ("features", "platform", "bench", "tests")
FACES = {"devstack": devstack.__all__, "devstack.testing": devstack.testing.__all__}


def imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each module that a file imports, with the imported names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((one.name, []) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, [one.name for one in node.names]


def past_the_faces(path: Path) -> list[str]:
    """Return a file's imports of devstack that are not part of its public modules."""
    found = [(module, names) for module, names in imports(path) if is_ours(module)]
    return [
        f"{module}: {', '.join(names)}"
        for module, names in found
        if not set(names) <= set(FACES.get(module, ())) or module not in FACES
    ]


def is_ours(module: str) -> bool:
    return module.partition(".")[0] == "devstack"


@pytest.mark.parametrize("folder", OUTSIDE)
def test_other_code_imports_only_the_faces_of_devstack(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    assert {str(path): found for path in files if (found := past_the_faces(path))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import devstack.layout",
        "from devstack.gateway.config import GatewayConfig",
        "from devstack import postgres",
        "from devstack.testing import postgres",
        "def f():\n    from devstack.stack import up",
    ],
)
def test_a_deeper_import_is_noticed(line, tmp_path):
    path = tmp_path / "a.py"
    path.write_text(f"from devstack import up\nfrom devstack.testing import Servers\n{line}\n")
    assert len(past_the_faces(path)) == 1


@pytest.mark.parametrize("face", [devstack, devstack.testing], ids=lambda face: face.__name__)
def test_a_face_offers_what_it_lists_and_says_what_it_is_for(face):
    assert face.__doc__
    assert face.__all__ == sorted(face.__all__)
    assert all(hasattr(face, name) for name in face.__all__)


def test_what_devstack_imports_is_in_its_own_pyproject():
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[^\w.-]", one)[0].lower() for one in project["dependencies"]}
    distributions = packages_distributions()
    files = [path for path in FOLDER.rglob("*.py") if TESTS not in path.parents]
    modules = {module.partition(".")[0] for path in files for module, _ in imports(path)}
    needed = modules - {"devstack"} - set(sys.stdlib_module_names)
    assert needed
    undeclared = {
        module
        for module in needed
        if not declared & {name.lower() for name in distributions.get(module, [])}
    }
    assert undeclared == set()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of both projects, built."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    for project in (ROOT, FOLDER):
        subprocess.run([*command, "-d", folder], cwd=project, check=True, capture_output=True)
    return {path.name.partition("-")[0]: path for path in folder.iterdir()}


def test_no_wheel_of_the_application_has_the_stack_or_the_benchmark(wheels):
    names = zipfile.ZipFile(wheels["slices"]).namelist()
    packages = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert packages == {"features", "adapters", "kernel", "migrate", "cli"}


def test_the_stacks_own_wheel_has_all_of_it_but_its_tests(wheels):
    names = set(zipfile.ZipFile(wheels["slices_devstack"]).namelist())
    code = {
        str(path.relative_to(ROOT))
        for pattern in ("*.py", "*.sql", "py.typed")
        for path in FOLDER.rglob(pattern)
        if TESTS not in path.parents
    }
    assert {name for name in names if ".dist-info" not in name} == code


@pytest.fixture(scope="module")
def installed(wheels, tmp_path_factory):
    """Runs Python with installed wheels, as from an index, without access to a checkout."""

    def run(*names: str, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        folder = tmp_path_factory.getbasetemp() / "+".join(names)
        for name in () if folder.exists() else names:
            zipfile.ZipFile(wheels[name]).extractall(folder)
        libraries = Path(pytest.__file__).parents[1]
        # Without `site`, Python does not read the .pth file that points to this checkout.
        return subprocess.run(
            [sys.executable, "-S", "-P", *command],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join([str(folder), str(libraries)]),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_command_line_takes_the_stack_from_an_index_as_from_the_checkout(installed):
    show = "import cli.applications, devstack.testing; print(devstack.__file__)"
    found = installed("slices", "slices_devstack", command=("-c", show))
    assert found.returncode == 0, found.stderr
    assert not found.stdout.startswith(str(ROOT))


@pytest.mark.parametrize("command", ["up", "env", "bench"])
def test_without_the_stack_its_commands_are_one_sentence(installed, command):
    found = installed("slices", command=("-m", "cli", command))
    assert found.returncode == 1
    assert found.stderr == (
        "This command needs the local stack, which is not installed here: "
        "run it in a checkout of the project.\n"
    )


def test_without_the_stack_production_runs(installed):
    for command in (("--help",), ("migrate",), ("user", "promote", "a@b.c")):
        found = installed("slices", command=("-m", "cli", *command))
        assert "Traceback" not in found.stderr, found.stderr
        assert "local stack" not in found.stderr
