"""`./app upgrade`: what of ours is taken over, and that nothing of yours is touched."""

import os
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cli import app, upgrade
from cli.our_files import MANIFEST, YOURS, is_ours, manifest, our_files, record
from kit.copies import ROOT, copy_of_checkout

LINES = "".join(f"line {number}\n" for number in range(20))
FILES = {
    "app": "#!/bin/sh\n",
    "platform/kernel/one.py": LINES,
    "platform/kernel/two.py": LINES,
    "platform/kernel/gone.py": "old = 1\n",
    "platform/adapters/mine.py": "yours = 1\n",
    "features/read/route.py": "yours = 1\n",
    "tests/features/read/test_read.py": "yours = 1\n",
    "tests/kit/three.py": LINES,
    "supabase/migrations/1_first.sql": "select 1;\n",
    "docs/GUIDE.md": LINES,
    "README.md": "# Yours\n",
}


OWN_SLICE = {
    "features/read_riddle/__init__.py": """\
\"\"\"Read the riddle of the day.\"\"\"

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="ignored")
""",
    "features/read_riddle/route.py": """\
from fastapi import APIRouter

from kernel.web import Answer

router = APIRouter(tags=["riddles"])


@router.get("/riddle")
async def read_riddle() -> Answer[str]:
    return Answer("What has keys and opens no lock?")
""",
    "tests/features/read_riddle/test_read_riddle.py": """\
async def test_anyone_may_call(anonymous):
    assert (await anonymous.get("/riddle")).status_code == 200
""",
}


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def contents(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def git(root, *words):
    author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run(["git", *author, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def yours(tmp_path, monkeypatch):
    """A checkout that began with a release of ours, and is in git."""
    root = tmp_path / "yours"
    write(root, FILES)
    record(root)
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "begin")
    monkeypatch.setattr(upgrade, "ROOT", root)
    return root


@pytest.fixture
def newer(tmp_path):
    """Changes a later release: `newer({path: text})`; None removes the file."""
    root = tmp_path / "newer"
    write(root, FILES)

    def change(files):
        write(root, {name: text for name, text in files.items() if text is not None})
        for name in (name for name, text in files.items() if text is None):
            (root / name).unlink()
        record(root)
        return root

    return change


def run(*words):
    return CliRunner().invoke(app, ["upgrade", *map(str, words)])


def test_without_apply_the_difference_is_shown_and_nothing_changes(yours, newer):
    before = contents(yours)
    source = newer({"platform/kernel/one.py": LINES.replace("line 3", "better 3")})
    found = run("--from", source)
    assert found.exit_code == 0, found.output
    assert "-line 3\n+better 3\n" in found.stdout
    assert "Would apply: 1 updated." in found.stderr
    assert "--apply" in found.stderr
    assert contents(yours) == before


def test_ours_is_taken_over_and_yours_stays_as_it_is(yours, newer):
    write(yours, {"features/own/route.py": "mine = 1\n", "tests/features/own/test_own.py": ""})
    git(yours, "add", "-A")
    git(yours, "commit", "-qm", "mine")
    before = contents(yours)
    source = newer({
        "platform/kernel/one.py": "new = 1\n",
        "platform/kernel/added.py": "added = 1\n",
        "platform/kernel/gone.py": None,
        "supabase/migrations/2_second.sql": "select 2;\n",
        "platform/adapters/mine.py": "theirs = 1\n",
        "features/read/route.py": "theirs = 1\n",
        "features/more/route.py": "theirs = 1\n",
        "tests/features/read/test_read.py": "theirs = 1\n",
        "README.md": "# Theirs\n",
    })  # fmt: skip
    found = run("--from", source, "--apply")
    assert found.exit_code == 0, found.output
    assert "Applied: 2 new, 1 updated, 1 removed." in found.stderr
    changed = {
        "platform/kernel/one.py": b"new = 1\n",
        "platform/kernel/added.py": b"added = 1\n",
        "supabase/migrations/2_second.sql": b"select 2;\n",
        MANIFEST: (source / MANIFEST).read_bytes(),
    }
    expected = {name: old for name, old in before.items() if name != "platform/kernel/gone.py"}
    assert contents(yours) == expected | changed
    git(yours, "commit", "-qam", "upgraded")
    assert "Nothing to do" in run("--from", source).stderr


def test_your_changes_of_our_files_are_merged_where_they_do_not_meet(yours, newer):
    write(yours, {
        "platform/kernel/one.py": LINES.replace("line 17", "mine 17"),
        "platform/kernel/two.py": LINES.replace("line 3", "mine 3"),
        "tests/kit/three.py": LINES.replace("line 5", "mine 5"),
    })  # fmt: skip
    git(yours, "commit", "-qam", "mine")
    source = newer({
        "platform/kernel/one.py": LINES.replace("line 3", "better 3"),
        "platform/kernel/two.py": LINES.replace("line 3", "better 3"),
    })  # fmt: skip
    before = contents(yours)
    found = run("--from", source, "--apply")
    assert found.exit_code == 1
    assert "By hand: platform/kernel/two.py (your changes and the new ones meet)." in found.stderr
    after = contents(yours)
    merged = LINES.replace("line 17", "mine 17").replace("line 3", "better 3")
    assert after["platform/kernel/one.py"].decode() == merged
    for name in ("platform/kernel/two.py", "tests/kit/three.py"):
        assert after[name] == before[name]


@pytest.mark.parametrize(
    ("mine", "theirs", "why"),
    [
        ({"platform/kernel/one.py": None}, {"platform/kernel/one.py": "new\n"}, "you removed it"),
        ({"platform/kernel/one.py": "mine\n"}, {"platform/kernel/one.py": None}, "not there any"),
        (
            {"supabase/migrations/2_second.sql": "select 'mine';\n"},
            {"supabase/migrations/2_second.sql": "select 2;\n"},
            "a migration never changes",
        ),
    ],
)
def test_what_needs_a_decision_is_left_to_you(yours, newer, mine, theirs, why):
    for name, text in mine.items():
        if text is None:
            (yours / name).unlink()
        else:
            write(yours, {name: text})
    git(yours, "add", "-A")
    git(yours, "commit", "-qm", "mine")
    before = contents(yours)
    found = run("--from", newer(theirs), "--apply")
    assert found.exit_code == 1
    assert why in found.stderr
    after = contents(yours)
    assert {name: after[name] for name in before if name != MANIFEST} == {
        name: text for name, text in before.items() if name != MANIFEST
    }


def test_a_changed_file_without_a_base_in_git_is_left_to_you(yours, newer):
    shutil.rmtree(yours / ".git")
    write(yours, {"platform/kernel/one.py": LINES.replace("line 17", "mine 17")})
    found = run("--from", newer({"platform/kernel/one.py": "new = 1\n"}), "--apply")
    assert found.exit_code == 1
    assert "git does not have its base" in found.stderr


def test_a_tag_of_the_repository_is_a_version_too(yours, newer):
    source = newer({"platform/kernel/one.py": "new = 1\n"})
    git(source, "init", "-q", "-b", "main")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "newer")
    git(source, "tag", "v9.0.0")
    git(yours, "fetch", "-q", str(source), "tag", "v9.0.0")
    found = run("--from", "v9.0.0", "--apply")
    assert found.exit_code == 0, found.output
    assert (yours / "platform/kernel/one.py").read_text() == "new = 1\n"


def test_changes_that_are_not_committed_stop_it(yours, newer):
    write(yours, {"features/read/route.py": "unsaved = 1\n"})
    before = contents(yours)
    found = run("--from", newer({"platform/kernel/one.py": "new = 1\n"}), "--apply")
    assert found.exit_code == 1
    assert found.output.startswith("Commit your changes first")
    assert contents(yours) == before


@pytest.mark.parametrize("source", ["v0.0.0", "--help-me", "/nowhere"])
def test_a_version_that_does_not_exist_is_one_sentence(yours, source):
    found = run(f"--from={source}")
    assert found.exit_code == 1
    assert "is neither a folder nor a tag" in found.output


def test_a_folder_that_is_no_version_is_one_sentence(yours, tmp_path):
    for folder, message in ((tmp_path, "it has no platform/release.txt"), (yours, "itself")):
        found = run("--from", folder)
        assert found.exit_code == 1
        assert message in found.output


def test_every_file_of_the_repository_is_ours_or_yours():
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("the checkout is not in git")
    tracked = {path for path in done.stdout.splitlines() if (ROOT / path).is_file()}
    yours = {path for path in tracked if path.startswith(YOURS)}
    assert tracked - yours - our_files(ROOT) == set()
    assert {"features/get_post/route.py", "README.md"} <= yours
    assert not is_ours("features/own/route.py")


def test_the_list_of_the_release_has_ours_alone():
    listed = manifest(ROOT)
    assert len(listed) > 500
    assert all(map(is_ours, listed))


@pytest.mark.slow
def test_older_slices_run_on_a_newer_platform():
    root = copy_of_checkout("tests", "README.md", "CHANGELOG.md", ".env.example")
    try:
        # An older platform: a command less, and another text in one of its files.
        (root / "platform" / "cli" / "faces.py").unlink()
        face = root / "platform" / "cli" / "__init__.py"
        face.write_text(face.read_text().replace("    faces,\n", ""))
        write(root, OWN_SLICE)
        record(root)
        before = contents(root / "features")
        git(root, "init", "-q")
        git(root, "add", "-A")
        git(root, "commit", "-qm", "begin")
        path = os.pathsep.join(str(root / name) for name in ("platform", "", "tests"))
        command = (sys.executable, "-m", "cli")

        def run_there(*words):
            return subprocess.run(
                [*command, *words],
                cwd=root,
                env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                check=False,
            )

        assert "No such command 'faces'" in run_there("faces").stderr
        done = run_there("upgrade", "--from", str(ROOT), "--apply")
        assert done.returncode == 0, done.stdout + done.stderr
        assert run_there("faces").returncode == 0
        assert "GET /api/v1/riddle" in run_there("features").stdout
        assert contents(root / "features") == before
        tests = [
            sys.executable,
            "-m",
            "pytest",
            "tests/features/read_riddle",
            "-q",
            "-m",
            "not slow",
        ]
        done = subprocess.run(
            tests,
            cwd=root,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode()
    finally:
        shutil.rmtree(root)
