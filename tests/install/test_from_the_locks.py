"""The locks install with any version of pip and with uv, from the index and without a cache.

These tests need the index. They show whether a person who clones the project today can start it.
"""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from cli.checkout import ROOT
from cli.install import LOCKS, blocks
from devstack.testing import free_port

# The oldest pip that was bundled with each Python: 3.11.0, 3.12.0, 3.13.0, 3.14.0.
OLDEST_PIP = {(3, 11): "22.3", (3, 12): "23.2.1", (3, 13): "24.2", (3, 14): "25.2"}
UV = "uv==0.11.0"
LONG = 600  # seconds for one command on a slow network
NOT_OURS = ("PYTHONPATH", "PYTHON", "INSTALL_WITH", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")

pytestmark = pytest.mark.slow


class Checkout:
    """A copy without .venv, under a path with a space and an é, in the C locale."""

    def __init__(self, root, environment):
        self.root, self.environment = root, environment
        self.python = root / ".venv" / "bin" / "python"

    def begin(self, *words, **environment):
        return subprocess.Popen(
            words,
            cwd=self.root.parent,  # ./app must find the checkout by its own path
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def run(self, *words, code=0, **environment):
        with self.begin(*words, **environment) as process:
            try:
                printed, _ = process.communicate(timeout=LONG)
            finally:
                process.kill()
        assert process.returncode == code, printed
        return printed

    def app(self, *words, code=0, **environment):
        return self.run(str(self.root / "app"), *words, code=code, **environment)

    def interrupted_when_it_prints(self, words, **environment):
        """Run ./app and press Ctrl-C when it prints these words; return its whole output."""
        with self.begin(str(self.root / "app"), "--help", **environment) as process:
            assert process.stdout
            printed = ""
            for line in process.stdout:
                printed += line
                if words in line:
                    os.killpg(process.pid, signal.SIGINT)  # to the whole group, like a terminal
        assert process.returncode in {130, -signal.SIGINT}, printed
        return printed


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "a chékout"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs")
    shutil.copytree(ROOT, root, ignore=ignored)
    kept = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    python = getattr(sys, "_base_executable", sys.executable)
    no_cache = {"PIP_NO_CACHE_DIR": "1", "UV_NO_CACHE": "1"}
    return Checkout(root, kept | no_cache | {"PYTHON": python, "LC_ALL": "C", "TERM": "dumb"})


@pytest.fixture(scope="module")
def uv(tmp_path_factory):
    """A folder for PATH that contains uv."""
    folder = tmp_path_factory.mktemp("uv")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir", UV]
    subprocess.run(command, check=True, timeout=LONG)
    return folder / "bin"


def names_in(python):
    """Return the names of the packages in an environment."""
    code = "from importlib.metadata import distributions as d; print(*(x.name for x in d()))"
    command = [python, "-I", "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return {name.lower().replace("_", "-").replace(".", "-") for name in printed.split()}


def test_the_oldest_pip_installs_what_the_locks_name(checkout):
    checkout.run(checkout.environment["PYTHON"], "-m", "venv", str(checkout.root / ".venv"))
    pip = f"pip=={OLDEST_PIP[sys.version_info[:2]]}"
    checkout.run(str(checkout.python), "-m", "pip", "install", "--quiet", pip)
    assert pip.partition("==")[2] in checkout.run(str(checkout.python), "-m", "pip", "--version")
    code = (
        "from cli import install as i; from cli.checkout import ROOT; venv = ROOT / '.venv'; "
        "wanted = [e for n, e in i.entries(ROOT).items() if n not in i.ON_DEMAND]; "
        "i.install_packages(venv, wanted, 'pip', i.Progress()); i.point_to_project(venv)"
    )
    path = str(checkout.root / "platform")
    printed = checkout.run(sys.executable, "-c", code, PYTHONPATH=path)
    assert printed.splitlines()[:2] == ["Downloading …", "Installing …"]
    assert "get_post" in checkout.run(str(checkout.python), "-m", "cli", "features")


def test_app_installs_with_uv_after_an_interruption_began_anew(checkout, uv):
    path = f"{uv}{os.pathsep}{os.environ['PATH']}"
    printed = checkout.interrupted_when_it_prints("Downloading", PATH=path, INSTALL_WITH="uv")
    assert "Interrupted. The next ./app starts the installation again." in printed
    assert not (checkout.root / ".venv").exists()
    printed = checkout.app("features", PATH=path, INSTALL_WITH="uv")
    assert "Installed in" in printed
    assert "get_post" in printed
    assert "Installed" not in checkout.app("--help", PATH=path)
    # O16: the whole system runs there, too.
    with checkout.begin(str(checkout.root / "app"), "up", "--port", str(free_port())) as process:
        assert process.stdout
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("ready http"):
                os.killpg(process.pid, signal.SIGINT)
    assert process.returncode == 0, printed
    assert "\nready http" in printed


def test_the_lock_of_production_is_all_that_the_processes_need(checkout, uv):
    (checkout.root / LOCKS[1]).write_text("")
    printed = checkout.app("api", "--help", PATH=f"{uv}{os.pathsep}{os.environ['PATH']}")
    assert "Usage: ./app api" in printed
    code = (
        "import pkgutil, kernel, features; "
        "[__import__(m.name) for p in (kernel, features) "
        "for m in pkgutil.walk_packages(p.__path__, p.__name__ + '.')]"
    )
    checkout.run(str(checkout.python), "-c", code)
    locked = blocks((checkout.root / LOCKS[0]).read_text("utf-8"))
    assert names_in(checkout.python) <= {*locked, "pip", "setuptools"}


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_without_network_one_sentence_says_what_to_do(checkout, uv, installer):
    nowhere = "http://127.0.0.1:9/simple"
    printed = checkout.app(
        "--help",
        code=1,
        PATH=f"{uv}{os.pathsep}{os.environ['PATH']}",
        INSTALL_WITH=installer,
        PIP_INDEX_URL=nowhere,
        PIP_RETRIES="1",
        UV_DEFAULT_INDEX=nowhere,
        UV_HTTP_RETRIES="0",
    )
    last = printed.splitlines()[-1]
    assert last.startswith("The package index cannot be reached.")
    assert "Traceback" not in printed
    assert not (checkout.root / ".venv").exists()
