"""Who may import whom; a test breaks each rule on purpose, to prove that the check works."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTER = Path(sys.executable).parent / "lint-imports"
BROKEN = {
    "kernel imports a feature": (
        "platform/kernel/observe/readiness.py",
        "import features.one.handler",
    ),
    "kernel imports devstack": (
        "platform/kernel/observe/readiness.py",
        "import devstack.gateway.config",
    ),
    "kernel imports an adapter": ("platform/kernel/observe/readiness.py", "import adapters"),
    "an adapter imports a feature": (
        "platform/adapters/webhook.py",
        "import features.one.handler",
    ),
    "a feature imports another": ("features/two/handler.py", "import features.one.handler"),
    "a feature imports devstack": ("features/two/handler.py", "import devstack"),
    "shared imports a feature": ("features/shared/words.py", "import features.one.handler"),
    "a feature imports the benchmark": ("features/two/handler.py", "import bench"),
    "a feature imports Supabase's client of Auth": (
        "features/two/handler.py",
        "from supabase_auth.errors import AuthError",
    ),
    "a feature imports PostgREST's client": ("features/two/handler.py", "import postgrest"),
    "devstack imports a feature": ("devstack/ports.py", "import features.one.handler"),
    "devstack imports the kernel": ("devstack/ports.py", "import kernel.errors"),
    "devstack imports the migrations": ("devstack/ports.py", "import migrate"),
    "devstack imports the command line": ("devstack/ports.py", "import cli.checks"),
    "migrations import the kernel": ("platform/migrate/migrations.py", "import kernel.errors"),
    "the command line looks into devstack": ("platform/cli/checks.py", "import devstack.layout"),
    "the benchmark looks into devstack": ("bench/run.py", "from devstack.gateway import config"),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the code and the rules, with two more slices and a module in features/shared."""
    left_out = shutil.ignore_patterns("__pycache__", "tests")
    for name in ("features", "platform", "devstack", "bench"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=left_out)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in ("one/__init__", "one/handler", "two/__init__", "two/handler", "shared/words"):
        file = tmp_path / "features" / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.touch()
    return tmp_path


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), str(folder / "platform")])
    return subprocess.run(
        [LINTER, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_rules_hold(copy):
    found = lint(copy)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(("file", "line"), BROKEN.values(), ids=BROKEN)
def test_breaking_a_rule_is_noticed(copy, file, line):
    path = copy / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    found = lint(copy)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "BROKEN" in found.stdout
