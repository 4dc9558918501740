"""The public names of the platform: whatever changes them is in the change log."""

import ast
import shutil

import pytest
from typer.testing import CliRunner

from cli import app, faces
from cli.faces import COPY, FACES, changes, public_names, read, unmentioned, written
from kit.copies import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_each_public_name_that_changed_since_the_release_is_in_the_change_log():
    changed = changes(read(COPY.read_text(encoding="utf-8")), public_names(ROOT))
    assert unmentioned(changed, CHANGELOG) == [], (
        "say in CHANGELOG.md, under Unreleased, what changed: `Name` in code; ./app faces shows it"
    )


def test_the_copy_is_read_as_it_was_written():
    names = public_names(ROOT)
    assert len(names) > 50
    assert read(written(names)) == names


def test_slices_and_adapters_import_nothing_but_faces():
    imported = {
        node.module
        for folder in ("features", "platform/adapters")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "kernel"
    }
    assert "kernel.web" in imported
    assert imported <= set(FACES)


@pytest.fixture
def platform(tmp_path):
    """A copy of the kernel to change."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "platform" / "kernel", tmp_path / "platform" / "kernel", ignore=ignored)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("limits/policy.py", 'per: Subject = "address"', "per: Subject", "kernel.limits.Limit"),
        ("cache/__init__.py", '    "Drops",\n', "", "kernel.cache.Drops"),
        ("cache/__init__.py", '    "Drops",\n', '    "Drops",\n    "a",\n', "kernel.cache.a"),
        ("cache/cached.py", "    ttl: timedelta\n", "    ttl: float\n", "kernel.cache.Cached"),
        ("cache/drops.py", "*events: Event) ->", "event: Event) ->", "kernel.cache.Announce"),
        ("errors.py", "class NotFound(ApiError)", "class NotFound", "kernel.errors.NotFound"),
    ],
)  # fmt: skip
def test_a_change_of_a_public_name_is_noticed(platform, file, old, new, found):
    path = platform / "platform" / "kernel" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert found in changes(public_names(ROOT), public_names(platform))


def test_a_change_behind_a_face_is_none(platform):
    path = platform / "platform" / "kernel" / "cache" / "cached.py"
    path.write_text(path.read_text(encoding="utf-8").replace("_filled", "_written"))
    assert changes(public_names(ROOT), public_names(platform)) == []


@pytest.mark.parametrize(
    ("section", "missing"),
    [
        ("- `Cached(ttl=…)` takes seconds.\n", []),
        ("- `kernel.cache.Cached` is new.\n", []),
        ("- Cached reads are faster.\n", ["kernel.cache.Cached"]),
        ("\n## [0.1.0] - 2026-01-01\n\n- `Cached`\n", ["kernel.cache.Cached"]),
    ],
)
def test_a_name_counts_as_mentioned_in_code_under_unreleased(section, missing):
    text = f"# Changelog\n\n`Cached`\n\n## Unreleased\n\n{section}"
    assert unmentioned(["kernel.cache.Cached"], text) == missing


def test_the_command_shows_the_difference(monkeypatch, tmp_path):
    copy = tmp_path / "faces.txt"
    monkeypatch.setattr(faces, "COPY", copy)
    assert CliRunner().invoke(app, ["faces", "--write"]).exit_code == 0
    assert CliRunner().invoke(app, ["faces"]).output == (
        "No public name has changed since the last release.\n"
    )
    text = copy.read_text(encoding="utf-8")
    copy.write_text(
        text.replace("kernel.limits.Limit.per: Subject", "kernel.limits.Limit.per: str")
    )
    shown = CliRunner().invoke(app, ["faces"]).output
    assert "- kernel.limits.Limit.per: str" in shown
    assert "+ kernel.limits.Limit.per: Subject" in shown
