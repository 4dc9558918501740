"""The command line: `./app --help`."""

import sys

import typer

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

app = typer.Typer(
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
