"""The face for tests: servers and gateways that clean up, and the inbox's mails."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from devstack import postgres, valkey
from devstack.account import unprivileged_account
from devstack.errors import StackError
from devstack.gateway.bootstrap import prepare
from devstack.gateway.config import CLI_JWT_SECRET, GatewayConfig, api_key
from devstack.gateway.thread import GatewayThread
from devstack.inbox.mail import Mail
from devstack.inbox.mailbox import Mailbox
from devstack.inbox.smtp import start_smtp
from devstack.ports import free_port, is_free
from devstack.programs import Program, signal_group
from devstack.reaper import Reaper
from devstack.settings import refuse_production
from devstack.valkey import broker as valkey_broker
from devstack.valkey import cache as valkey_cache

__all__ = [
    "CLI_JWT_SECRET",
    "GatewayConfig",
    "GatewayThread",
    "Mail",
    "Mailbox",
    "Reaper",
    "Servers",
    "api_key",
    "free_port",
    "is_free",
    "prepare",
    "start_smtp",
    "valkey_broker",
    "valkey_cache",
]


class Servers:
    """PostgreSQL, a cache and a broker on free ports in a temporary folder.

    Attributes after start(): `postgres_url` (the superuser's, database postgres), `cache_url`,
    `broker_url`. If the process that started them is killed they end too, and the folder is
    removed. `server` replaces the program of cache and broker. PostgreSQL is fast and loses data in
    a crash, unless it is `durable`. `postgres_url` is a running PostgreSQL that is used instead of
    an own one, and is not stopped.
    """

    postgres_url: str
    cache_url: str
    broker_url: str

    def __init__(
        self,
        server: str | None = None,
        *,
        durable: bool = False,
        postgres_url: str | None = None,
    ) -> None:
        self._server, self._durable, self._given = server, durable, postgres_url

    @property
    def postgres_is_running(self) -> bool:
        """Whether PostgreSQL is one that ran before."""
        return self._given is not None

    def start(self) -> Self:
        """Start all three and return when they answer.

        Raises StackError if APP_ENV is production, and with a server's own message if one does not
        start.
        """
        refuse_production(os.environ)
        self._folder = Path(tempfile.mkdtemp(prefix="devstack-"))
        self._reaper = Reaper()
        self._reaper.remove(self._folder)
        self._running: list[tuple[Program, subprocess.Popen[Any]]] = []
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the servers and delete their folder; a second call does nothing."""
        for program, process in reversed(self._running):
            signal_group(process.pid, program.stop_signal)
        for _, process in self._running:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                signal_group(process.pid, 9)
                process.wait()
            self._reaper.forget(process.pid)
        self._running.clear()
        self._reaper.finish()

    def run(self, program: Program) -> int:
        """Run one more program with them, until they stop; return its pid when it is ready.

        Its standard output is discarded. Raises StackError as start() does.
        """
        self._spawn([program], stdout=subprocess.DEVNULL)
        _, process = self._running[-1]
        self._wait(program, process)
        return process.pid

    def pid(self, name: str) -> int:
        """Return the pid of a server ("postgres", "cache", "broker") or of a program of run()."""
        return next(process.pid for program, process in self._running if program.name == name)

    def crash(self, name: str, *, away_seconds: float = 0) -> None:
        """Crash a server ("postgres", "cache", "broker"), and start it on its data after this time.

        Returns when it is ready. Raises StackError as start() does.
        """
        place = next(
            place for place, (program, _) in enumerate(self._running) if program.name == name
        )
        program, process = self._running.pop(place)
        # PostgreSQL's sessions outlive its main process for a moment; SIGQUIT ends all at once,
        # and the data are as after a crash.
        signal_group(process.pid, signal.SIGQUIT if name == "postgres" else signal.SIGKILL)
        process.wait()
        self._reaper.forget(process.pid)
        time.sleep(away_seconds)
        self._spawn([program])
        self._wait(*self._running[-1])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        account = unprivileged_account()
        if account is not None:
            account.own(self._folder)
        ports: set[int] = set()
        for _ in range(3):
            ports.add(free_port(besides=ports))
        database, cache, broker = ports
        programs = [
            valkey.cache(cache, self._folder / "cache", self._server),
            valkey.broker(broker, self._folder / "broker", self._server),
        ]
        self._spawn(programs)
        if self._given is None:
            self._spawn([self._own_postgres(database)])
        for program, process in self._running:
            self._wait(program, process)
        self.postgres_url = self._given or postgres.url(database)
        self.cache_url = f"redis://127.0.0.1:{cache}"
        self.broker_url = f"redis://127.0.0.1:{broker}"

    def _own_postgres(self, port: int) -> Program:
        installation = postgres.locate(self._folder / "postgres")
        if installation.data.parent != self._folder:
            shutil.rmtree(installation.data, ignore_errors=True)
            self._reaper.remove(installation.data.parent)
        postgres.initialise(installation)
        return postgres.program(installation, port, durable=self._durable)

    def _spawn(self, programs: list[Program], *, stdout: int | None = None) -> None:
        for program in programs:
            with self._log(program).open("wb") as log:
                output = {"stdout": log} if stdout is None else {"stdout": stdout, "stderr": log}
                options: dict[str, Any] = program.options() | output
                process: subprocess.Popen[Any] = subprocess.Popen(program.argv, **options)  # noqa: S603 - our own servers
            self._reaper.watch(process.pid, program.stop_signal)
            self._running.append((program, process))

    def _wait(self, program: Program, process: subprocess.Popen[Any]) -> None:
        deadline = time.monotonic() + program.start_limit
        while not program.ready():
            if process.poll() is not None or time.monotonic() > deadline:
                said = self._log(program).read_text(errors="replace").strip()[-2000:]
                raise StackError(f"{program.name} did not start: {said}")
            time.sleep(0.01)

    def _log(self, program: Program) -> Path:
        return self._folder / f"{program.name}.log"
