"""The command line: `./app --help`."""

import sys
from typing import Any, Final

import typer
from typer.core import TyperGroup

from cli import (
    bench,
    cached,
    checks,
    configuration,
    database,
    development,
    document,
    exports,
    faces,
    jobs,
    load,
    lock,
    new,
    operators,
    production,
    remove,
    rename,
    seed,
    site,
    soak,
    tables,
    upgrade,
)

SECTIONS: Final = {
    "Develop": ("up", "env", "seed", "db", "test", "check", "docs"),
    "Your slices": ("features", "new", "remove", "openapi"),
    "Production": ("migrate", "api", "worker", "relay", "beat", "config"),
    "Operate": ("user", "export", "jobs", "dead-letters", "outbox", "cache"),
    "Measure": ("bench", "load", "soak"),
    "Name and versions": ("rename", "upgrade", "faces", "lock"),
}
"""The commands in the order of `./app --help`."""


class _InSections(TyperGroup):
    """Lists the commands by section."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the sections, each command with the first sentence of its help."""
        width = max(map(len, self.commands))
        for title, names in SECTIONS.items():
            there = [(name, self.get_command(ctx, name)) for name in names]
            rows = [
                (name.ljust(width), command.get_short_help_str(formatter.width - width - 6))
                for name, command in there
                if command is not None
            ]
            with formatter.section(title):
                formatter.write_dl(rows)


app = typer.Typer(
    cls=_InSections,
    name="./app",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Runs, tests and inspects this application. New here? Begin with: ./app up",
)
for part in (
    development,
    checks,
    lock,
    new,
    tables,
    document,
    site,
    faces,
    production,
    operators,
    exports,
    jobs,
    configuration,
    database,
    cached,
    seed,
    bench,
    load,
    soak,
    remove,
    rename,
    upgrade,
):
    part.register(app)


def main() -> None:
    """Run the command line; a fault that a person can fix is one message and exit code 1."""
    try:
        app(prog_name="./app")
    except KeyboardInterrupt:
        sys.exit(130)  # as in shells: 128 plus the number of SIGINT
    except ModuleNotFoundError as error:
        if error.name not in {"devstack", "bench"}:
            raise
        sys.exit(
            "This command needs the local stack, which is not installed here: "
            "run it in a checkout of the project."
        )
    except Exception as error:
        from kernel.boot.discovery import BootError
        from kernel.config.settings import SettingsError

        if isinstance(error, BootError | SettingsError):
            sys.exit(str(error))
        raise
