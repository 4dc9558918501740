"""`./app up`: the local stack and the application on top of it, with one command."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg

from devstack import postgres
from devstack.debugger import Terminal
from devstack.folder import StackFolder
from devstack.layout import StackLayout
from devstack.output import Output
from devstack.ports import DEFAULT_API_PORT, Ports
from devstack.programs import Program
from devstack.reaper import Reaper
from devstack.reload import Changes, changes_of_sql
from devstack.settings import read_settings, refuse_production
from devstack.supervisor import Supervisor

_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """What to run; `root` is the checkout, and its folder `.stack` has the data.

    `migrate` updates the schema, after the database's roles and default grants exist, and returns
    the names of the applied migrations; it raises StackError if it fails. After each change of an
    SQL file in the folder `migrations` the stack prints what `waiting` returns: one line about what
    the next start will apply, or nothing. `applications` returns the programs on top of the stack;
    None: only the stack. A change below one of the folders `watched` restarts them.
    """

    root: Path
    migrate: Callable[[StackLayout], Awaitable[list[str]]]
    migrations: Path | None = None
    waiting: Callable[[StackLayout], Awaitable[str]] | None = None
    applications: Callable[[StackLayout, Terminal], Sequence[Program]] | None = None
    watched: tuple[Path, ...] = ()
    port: int = DEFAULT_API_PORT
    fresh: bool = False


async def up(options: StackOptions) -> int:
    """Run everything until a signal comes; return the exit code.

    Raises StackError, with nothing left running, for every fault that a person can fix.
    """
    root = options.root
    refuse_production(read_settings(root))
    folder = StackFolder(root)
    folder.make()
    with folder.locked() as lock:
        folder.forget_values()  # of a killed stack
        reaper = Reaper(keep_open=(lock,))
        try:
            await _run(options, folder, reaper)
        finally:
            folder.forget_values()
            reaper.finish()
    return 0


async def _run(options: StackOptions, folder: StackFolder, reaper: Reaper) -> None:
    settings = partial(read_settings, options.root)
    output = Output()
    layout = StackLayout(
        root=options.root,
        data=folder.path,
        ports=Ports.choose(options.port, folder.path / "ports.json"),
        settings=settings,
    )
    installation = postgres.locate(folder.path / "postgres") if layout.own_database else None
    layout.ports.require_free(layout.own_ports(with_api=options.applications is not None))
    layout.require_named_servers()
    if options.fresh:
        folder.empty()
        if installation is not None:
            shutil.rmtree(installation.data, ignore_errors=True)
    for line in _remarks(options, layout, installation):
        output.say(line)
    supervisor, changes = Supervisor(output, reaper), Changes(options.root, options.watched)

    async def bring_up() -> None:
        if installation is not None:
            await asyncio.to_thread(postgres.initialise, installation)
        await supervisor.start_parts(*layout.servers(installation))
        output.say(_applied(await _prepare(layout, options)))
        supervisor.keep(_watch_migrations(options, layout, output))
        await supervisor.start_parts(layout.gateway())
        if options.applications is not None:
            supervisor.keep(_watch(changes, output))
            terminal = Terminal.listen(output, reaper)
            supervisor.keep(terminal.serve())
            programs = options.applications(layout, terminal)
            await supervisor.start_applications(programs, changes)
        folder.write_values(layout.values())
        for line in _welcome(options, layout):
            output.say(line)

    await supervisor.run(bring_up)


async def _prepare(layout: StackLayout, options: StackOptions) -> list[str]:
    """Update the schema; return the names of the applied migrations."""
    from devstack.gateway.bootstrap import prepare  # noqa: PLC0415 - only if needed

    connection = await asyncpg.connect(layout.database_url)
    try:
        await prepare(connection)
    finally:
        await connection.close()
    return await options.migrate(layout)


def _applied(names: list[str]) -> str:
    if not names:
        return "The database is up to date: no migration to apply"
    shown = names if len(names) <= _NAMED else [names[0], "…", names[-1]]
    noun = "migration" if len(names) == 1 else "migrations"
    return f"applied {len(names)} {noun}: {', '.join(shown)}"


async def _watch(changes: Changes, output: Output) -> None:
    try:
        await changes.watch()
    except* OSError as errors:
        output.say(f"Code changes are not detected: {errors.exceptions[0]}")


async def _watch_migrations(options: StackOptions, layout: StackLayout, output: Output) -> None:
    if options.migrations is None or options.waiting is None or not options.migrations.is_dir():
        return
    said = ""
    try:
        async for _ in changes_of_sql(options.migrations):
            line = await options.waiting(layout)
            if line and line != said:  # an editor saves often
                output.say(line)
            said = line
    except OSError as error:
        output.say(f"New migrations are not detected: {error}")


def _remarks(
    options: StackOptions, layout: StackLayout, installation: postgres.Installation | None
) -> list[str]:
    remarks = []
    if installation is not None and installation.note:
        remarks.append(installation.note)
    if installation is None and options.fresh:
        remarks.append(f"--fresh does not empty the database of {postgres.SERVER_VARIABLE}")
    if layout.settings().get("SUPABASE_URL", layout.supabase_url) != layout.supabase_url:
        remarks.append(
            "SUPABASE_URL is set, and not used here: ./app up has its own Supabase, "
            "./app api uses yours"
        )
    return remarks


def _welcome(options: StackOptions, layout: StackLayout) -> list[str]:
    alone = options.applications is None
    main = layout.supabase_url if alone else layout.api_url
    places = [
        ("Supabase API", layout.supabase_url),
        ("Inbox", layout.inbox_url),
        ("Database", layout.database_url),
        ("Settings", "./app env"),
    ]
    if not alone:
        places.insert(0, ("Documents", f"{layout.api_url}/docs"))
    if layout.own_database:
        places.append(("Data", "kept in .stack for the next start; ./app up --fresh empties it"))
    return [f"ready {main}", *(f"  {name:<13} {place}" for name, place in places)]
