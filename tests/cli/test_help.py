"""`./app --help` and the help of its groups: each command in one whole line."""

import pytest
import typer
from typer.testing import CliRunner

from cli import SECTIONS, app

COMMANDS = vars(typer.main.get_command(app))["commands"]


def lines_of(*words):
    found = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"})
    assert found.exit_code == 0, found.output
    return found.output.splitlines()


def test_every_command_is_in_one_section():
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(COMMANDS)


def test_the_overview_has_each_command_in_its_section_in_one_whole_line():
    lines = lines_of()
    for title, names in SECTIONS.items():
        first = lines.index(f"{title}:") + 1
        shown = lines[first : first + len(names)]
        assert [line.split()[0] for line in shown] == list(names)
        assert [line for line in shown if not line.endswith(".") or line.endswith("..")] == []


@pytest.mark.parametrize("group", [n for n, one in COMMANDS.items() if hasattr(one, "commands")])
def test_a_group_has_each_command_in_one_whole_line(group):
    lines = lines_of(group)
    shown = lines[lines.index("Commands:") + 1 :]
    assert [line.split()[0] for line in shown] == list(vars(COMMANDS[group])["commands"])
    assert [line for line in shown if not line.endswith(".") or line.endswith("..")] == []
