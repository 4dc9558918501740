"""One version: of the code, the package, OpenAPI, and the newest release in the change log."""

import re
import subprocess
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

import features

ROOT = Path(__file__).parents[2]
NOTES = ROOT / ".ci" / "release-notes"
CHANGELOG = """\
# Changelog

## Unreleased

- Tomorrow's.

## [0.2.1] - 2026-12-24

- A fix of 0.2.0.

## [0.2.0] - 2026-11-26

### Added

- The first.
"""


async def test_openapi_states_the_version_of_the_application(anonymous):
    document = (await anonymous.get("http://api.test/openapi.json")).json()
    assert document["info"]["version"] == features.__version__


def test_the_package_has_the_version_that_the_code_states():
    built = ProjectMetadata(str(ROOT), PluginManager())
    assert built.version == features.__version__


def test_the_newest_release_in_the_change_log_is_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(.+)\] - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert releases[0] == features.__version__


def notes(folder, version):
    return subprocess.run(
        [str(NOTES), version], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("version", "expected"),
    [("0.2.1", "- A fix of 0.2.0."), ("0.2.0", "### Added\n\n- The first.")],
)
def test_the_notes_of_a_release_are_its_section_of_the_change_log(tmp_path, version, expected):
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    done = notes(tmp_path, version)
    assert (done.returncode, done.stdout.strip()) == (0, expected)


@pytest.mark.parametrize("version", ["0.2", "0x2.0", "Unreleased", ""])
def test_a_version_without_a_section_has_no_notes(tmp_path, version):
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    done = notes(tmp_path, version)
    assert done.returncode == 1
    assert "CHANGELOG.md has no section" in done.stderr
