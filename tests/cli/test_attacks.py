"""The attacks S1 to S11 on the whole system, as `./app up` runs it."""

import os
import shutil
import subprocess
import sys
import time

import pytest

from bench import attacks
from devstack.testing import free_port
from kit.copies import copy_of_checkout

SECONDS = 600


@pytest.fixture
def system():
    """The whole system in a copy of the checkout; yields the environment of the attacker."""
    root = copy_of_checkout("bench")
    own = {name: value for name, value in os.environ.items() if not name.startswith("SUPABASE_")}
    environment = own | {
        "PYTHONPATH": os.pathsep.join([str(root / "platform"), str(root)]),
        "NO_PROXY": "*",
        "ENV_FILE": os.devnull,
        "TRUSTED_PROXIES": "127.0.0.1/32",
    }
    command = [sys.executable, "-m", "cli", "up", "--port", str(free_port())]
    log = root / "output.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + 120
        while "\nready http" not in log.read_text():
            assert up.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        command = [sys.executable, "-m", "cli", "env"]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True)
        settings = dict(line.split("=", 1) for line in done.stdout.decode().splitlines())
        yield root, environment | settings
    finally:
        up.terminate()
        up.wait(timeout=60)
        shutil.rmtree(root)


@pytest.mark.nightly
def test_no_attack_on_a_running_system_succeeds(system):
    root, environment = system
    done = subprocess.run(
        [sys.executable, "-m", "bench.attacks"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tried = {line.split()[0] for line in done.stdout.splitlines()}
    assert tried == {f"S{number}" for number in range(1, 12)}


@pytest.mark.parametrize(("held", "code"), [(True, 0), (False, 1)])
def test_an_attack_that_succeeds_ends_in_1(monkeypatch, capsys, held, code):
    one = attacks.Attack(number="S1", tried="a thing", carry_out=lambda _: ("it happened", held))
    monkeypatch.setattr(attacks, "ATTACKS", [one])
    monkeypatch.setattr(attacks, "trusts_us", lambda _: True)
    for name in attacks.NEEDED:
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert attacks.main() == code
    assert ("BROKEN" in capsys.readouterr().out) is not held


def test_another_system_than_a_local_one_is_not_attacked(monkeypatch, capsys):
    for name in attacks.NEEDED:
        monkeypatch.setenv(name, "https://api.example.com")
    assert attacks.main() == 2
    assert "local" in capsys.readouterr().out
