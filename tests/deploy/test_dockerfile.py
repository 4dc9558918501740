"""The statements of the Dockerfile, and the health check of its image."""

import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
HEALTH = ROOT / "deploy" / "image" / "health.py"


def health(**environment):
    """Run the health check; return its exit code and its output."""
    done = subprocess.run(
        [sys.executable, "-I", HEALTH],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    return done.returncode, done.stderr


def test_its_python_is_the_newest_that_the_locks_support():
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = re.findall(r"Python :: (3\.\d+)", "\n".join(named))
    newest = max(supported, key=lambda version: int(version.removeprefix("3.")))
    named_here = re.findall(r"^ARG PYTHON_IMAGE=.*/python:([\d.]+)-slim", DOCKERFILE, re.MULTILINE)
    assert named_here == [newest]


def test_packages_are_installed_as_the_lock_names_them():
    assert {"--no-deps", "--require-hashes", "--only-binary"} <= set(DOCKERFILE.split())


def test_nothing_is_copied_that_dockerignore_does_not_name():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    named = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    from_here = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {name for line in from_here for name in line.split()} == named
    assert all((ROOT / name).exists() for name in named)


def test_a_worker_is_healthy_while_its_heartbeat_is_young(tmp_path):
    heartbeat = tmp_path / "heartbeat"
    heartbeat.touch()
    assert health(HEARTBEAT_FILE=str(heartbeat)) == (0, "")
    an_hour_ago = time.time() - 3600
    os.utime(heartbeat, (an_hour_ago, an_hour_ago))
    code, said = health(HEARTBEAT_FILE=str(heartbeat))
    assert code == 1
    assert "s old" in said


def test_a_process_that_neither_beats_nor_answers_is_not_healthy(tmp_path, unused_tcp_port):
    port = str(unused_tcp_port)
    code, said = health(HEARTBEAT_FILE=str(tmp_path / "none"), API_PORT=port)
    assert code == 1
    assert "does not answer" in said


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_api_is_healthy_where_its_liveness_is_200(httpserver_of, status, code):
    port, asked = httpserver_of(status)
    assert health(API_HOST="0.0.0.0", API_PORT=str(port))[0] == code
    assert asked == ["/api/v1/health/liveness"]


@pytest.fixture
def httpserver_of():
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    servers = []

    def make(status):
        asked = []

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(status)
                self.end_headers()

            def log_message(self, format, *args):  # noqa: A002 - its name there
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port, asked

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()
