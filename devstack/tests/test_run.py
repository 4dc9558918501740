"""`devstack.up` with a foreign application: the program in README.md."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest

from devstack.testing import free_port, is_free

README = Path(__file__).parents[1] / "README.md"
SOURCE = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[0]
PACKAGE = README.parents[1]


class Run:
    """The program, which runs in a separate folder."""

    def __init__(self, root, port):
        self.root, self.port, self.log = root, port, root / "output.log"
        (root / "stack.py").write_text(SOURCE)

    @property
    def printed(self):
        return self.log.read_text()

    @property
    def values(self):
        return json.loads((self.root / ".stack" / "state.json").read_text())["values"]

    def start(self, **environment):
        kept = {name: value for name, value in os.environ.items() if name != "APP_ENV"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "stack.py", str(self.port)],
                cwd=self.root,
                env=kept | {"PYTHONPATH": str(PACKAGE)} | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def get(self, url):
        request = urllib.request.Request(url, headers={"apikey": self.values["SUPABASE_KEY"]})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()


@pytest.fixture
def run():
    # Not tmp_path: under root, PostgreSQL runs as another user, who cannot enter it.
    root = Path(tempfile.mkdtemp(prefix="devstack-run-")).resolve()
    root.chmod(0o755)
    run = Run(root, free_port())
    yield run
    if run.process.poll() is None:
        run.process.send_signal(signal.SIGTERM)
        run.process.wait(30)
    shutil.rmtree(root)


def test_it_runs_any_application_on_top_of_a_migrated_stack(run, until):
    run.start()
    until(lambda: "\nready http" in run.printed or run.process.poll() is not None)
    assert f"\nready http://127.0.0.1:{run.port}\n" in run.printed
    assert "stack.py" in run.get(f"http://127.0.0.1:{run.port}/")  # the folder's list of files
    assert run.get(f"{run.values['SUPABASE_URL']}/rest/v1/notes") == "[]"
    assert json.loads(run.get(f"{run.values['INBOX_URL']}/api/v1/messages"))["total"] == 0
    (run.root / "changed.py").write_text("")
    until(lambda: "api is ready again" in run.printed)
    assert "restarting api: changed.py changed" in run.printed
    ports = json.loads((run.root / ".stack" / "ports.json").read_text()).values()
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(30) == 0
    until(lambda: all(is_free(port) for port in ports))


def test_production_is_one_sentence_and_starts_nothing(run):
    run.start(APP_ENV="production")
    assert run.process.wait(30) == 1
    assert run.printed.splitlines()[-1].startswith("devstack.errors.StackError: APP_ENV is prod")
    assert not (run.root / ".stack").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("devstack.gateway", "--port", "1"),
        ("devstack.inbox", "--http-port", "1", "--smtp-port", "2"),
    ],
)
def test_no_part_runs_in_production(command):
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=PACKAGE,
        env=os.environ | {"APP_ENV": "production", "GATEWAY_CONFIG": "{}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("APP_ENV is production")
    assert len(done.stderr.splitlines()) == 1
