"""What `./app test SLICE` runs, and on which PostgreSQL."""

from pathlib import Path

import pytest

from devstack import StackFolder
from kernel.boot.discovery import discover
from kernel.edge.routes import routes_of
from kit.checkouts import Checkout
from kit.concerning import slice_of
from kit.removal import checkout
from kit.running_stack import postgres_of_running_stack

ROOT = Path(__file__).parents[2]
URL = "postgresql://postgres:postgres@127.0.0.1:54322/postgres"


def test_a_case_is_about_the_slice_that_its_parameters_name():
    slices = {"one", "two"}
    route = routes_of(discover("kit.slices"))[0]
    assert slice_of("one", slices) == "one"
    assert slice_of(ROOT / "features" / "two" / "route.py", slices) == "two"
    assert slice_of(route, slices) == route.feature_name
    assert slice_of(ROOT / "platform" / "cli" / "checks.py", slices) == ""
    assert slice_of("anon", slices) is None
    assert slice_of(7, slices) is None


@pytest.fixture
def running(tmp_path, monkeypatch):
    """A checkout with a stack that runs."""
    monkeypatch.setenv("TEST_ON_RUNNING_STACK", "1")
    monkeypatch.delenv("DEVSTACK_DATABASE_URL", raising=False)
    folder = StackFolder(tmp_path)
    folder.make()
    with folder.locked():
        folder.write_values({"DATABASE_URL": URL})
        yield tmp_path


def test_a_stack_that_runs_is_used_by_one_run_at_a_time(running):
    with postgres_of_running_stack(running) as first:
        assert first == URL
        with postgres_of_running_stack(running) as second:
            assert second is None
    with postgres_of_running_stack(running) as third:
        assert third == URL


def test_only_a_run_that_asks_for_it_uses_it(running, monkeypatch):
    monkeypatch.delenv("TEST_ON_RUNNING_STACK")
    with postgres_of_running_stack(running) as found:
        assert found is None


@pytest.mark.parametrize("url", [URL, "postgresql://db.example.com/postgres"])
def test_a_server_that_a_setting_names_is_never_used(running, monkeypatch, url):
    monkeypatch.setenv("DEVSTACK_DATABASE_URL", url)
    with postgres_of_running_stack(running) as found:
        assert found is None


def test_a_server_on_another_machine_is_never_used(running):
    StackFolder(running).write_values({"DATABASE_URL": "postgresql://db.example.com/postgres"})
    with postgres_of_running_stack(running) as found:
        assert found is None


def test_without_a_stack_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_ON_RUNNING_STACK", "1")
    with postgres_of_running_stack(tmp_path) as found:
        assert found is None


@pytest.mark.slow
def test_a_migration_that_cannot_be_applied_is_one_line():
    with checkout() as root:
        migrations = root / "supabase" / "migrations"
        (migrations / "20991231235959_broken.sql").write_text("select 1;\nselect 2 from nowhere;\n")
        done = Checkout(root).tried("python", "-m", "pytest", "tests/kernel/test_clock.py")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: Migration 20991231235959_broken.sql, line 2" in done.stderr
    assert len((done.stdout + done.stderr).strip().splitlines()) == 1
