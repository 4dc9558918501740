"""`./app up`: the local stack and the application on top of it, by one command."""

import asyncio
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg

from devstack import postgres
from devstack.applications import applications
from devstack.errors import StackError
from devstack.folder import StackFolder
from devstack.output import Output
from devstack.parts import Parts
from devstack.ports import DEFAULT_API_PORT, Ports
from devstack.reaper import Reaper
from devstack.reload import Changes
from devstack.settings import read_settings, refuse_production
from devstack.supervisor import Supervisor
from kernel.migrations import MigrationError, migrate


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """What `./app up` was asked for; `root` is the checkout."""

    root: Path
    port: int = DEFAULT_API_PORT
    fresh: bool = False
    stack_only: bool = False


async def up(options: StackOptions) -> int:
    """Run everything until a signal comes; return the exit code.

    Raises StackError, with nothing left running, for everything that a person can mend.
    """
    root = options.root
    refuse_production(read_settings(root))
    folder = StackFolder(root)
    folder.make()
    with folder.locked() as lock:
        folder.forget_values()  # of a stack that was killed
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
    parts = Parts(
        root=options.root,
        data=folder.path,
        ports=Ports.choose(options.port, folder.path / "ports.json"),
        settings=settings,
    )
    installation = postgres.locate(folder.path / "postgres") if parts.own_database else None
    parts.ports.require_free(parts.own_ports(with_api=not options.stack_only))
    parts.require_named_servers()
    if options.fresh:
        folder.empty()
        if installation is not None:
            shutil.rmtree(installation.data, ignore_errors=True)
    for line in _remarks(options, parts, installation):
        output.say(line)
    supervisor, changes = Supervisor(output, reaper), Changes(options.root)

    async def bring_up() -> None:
        if installation is not None:
            await asyncio.to_thread(postgres.initialise, installation)
        await supervisor.start_parts(*parts.servers(installation))
        await _prepare(parts)
        await supervisor.start_parts(parts.gateway())
        if not options.stack_only:
            supervisor.keep(_watch(changes, output))
            starts = (supervisor.start_application(one, changes) for one in applications(parts))
            await asyncio.gather(*starts)
        folder.write_values(parts.values())
        for line in _welcome(options, parts):
            output.say(line)

    await supervisor.run(bring_up)


async def _prepare(parts: Parts) -> None:
    from devstack.gateway.bootstrap import prepare  # noqa: PLC0415 - only when it is needed

    connection = await asyncpg.connect(parts.database_url)
    try:
        await prepare(connection)
    finally:
        await connection.close()
    try:
        await migrate(parts.database_url, parts.root / "supabase" / "migrations")
    except MigrationError as error:
        raise StackError(str(error)) from None


async def _watch(changes: Changes, output: Output) -> None:
    try:
        await changes.watch()
    except* OSError as errors:
        output.say(f"Changes of the code are not noticed: {errors.exceptions[0]}")


def _remarks(
    options: StackOptions, parts: Parts, installation: postgres.Installation | None
) -> list[str]:
    remarks = []
    if installation is not None and installation.note:
        remarks.append(installation.note)
    if installation is None and options.fresh:
        remarks.append(f"--fresh leaves the database of {postgres.SERVER_VARIABLE} as it is")
    if parts.settings().get("SUPABASE_URL", parts.supabase_url) != parts.supabase_url:
        remarks.append(
            "SUPABASE_URL is set, and not used here: ./app up has a Supabase of its own, "
            "./app api uses yours"
        )
    return remarks


def _welcome(options: StackOptions, parts: Parts) -> list[str]:
    main = parts.supabase_url if options.stack_only else parts.api_url
    places = [
        ("Supabase API", parts.supabase_url),
        ("Inbox", parts.inbox_url),
        ("Database", parts.database_url),
        ("Settings", "./app env"),
    ]
    if not options.stack_only:
        places.insert(0, ("Documents", f"{parts.api_url}/docs"))
    return [f"ready {main}", *(f"  {name:<13} {place}" for name, place in places)]
