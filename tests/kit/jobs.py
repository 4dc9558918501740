"""A worker and a relay of the application, as separate processes.

They use the stack of this xdist worker. Tests of slices request them as a fixture.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from redis import Redis

from devstack.testing import Mail, Mailbox, Reaper
from kit.process import APPLICATION, ROOT, environment
from kit.servers import Stack, refuse_remote
from kit.system import Process
from kit.waiting import until

_SHOWN = 5000  # characters of each process's output that a failed test shows
_TOLD = "select id from outbox.events where strpos(items::text, $1) > 0"
_ENDED = f"""
select exists ({_TOLD})
  and not exists (select from outbox.events where id in ({_TOLD}) and delivered_at is null)
  and not exists (select from jobs.runs where event_id in ({_TOLD}) and finished_at is null)
"""
_RUNS = f"select * from jobs.runs where event_id in ({_TOLD}) order by queued_at"
# Earlier tests have signed up users whose mails no test waits for; they would be sent first.
_FORGET = """
update outbox.events set dropped_at = now(), published_at = now() where delivered_at is null
"""


class Jobs:
    """What tests query about jobs.

    A subject identifies events: the id of a user or post that is in their items.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        database: asyncpg.Connection,
        broker: Redis,
        *,
        worker: Process,
        relay: Process,
    ) -> None:
        self.worker, self.relay = worker, relay
        self._mailbox, self._database, self._broker = mailbox, database, broker

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Stop the relay until the end of the block, so that no event reaches a job."""
        self.relay.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.relay.signal(signal.SIGCONT)

    async def mail_to(self, address: str, count: int = 1) -> list[Mail]:
        """Wait for at least this many mails to an address; return all of them, oldest first."""
        await until(lambda: len(self._mails(address)) >= count)
        return self._mails(address)

    async def all_mail_to(self, address: str, *subjects: object) -> list[Mail]:
        """Return the mails to an address as soon as no further mail can follow.

        That is when all events of the subjects have been delivered and all their jobs have ended.
        """
        for subject in subjects:
            await self.runs(subject)
        return self._mails(address)

    async def runs(self, subject: object, job: str | None = None) -> list[asyncpg.Record]:
        """Wait until all jobs about a subject have ended; return their records, or one job's."""
        await until(lambda: self._ended(str(subject)))
        rows = await self._database.fetch(_RUNS, str(subject))
        return [row for row in rows if job in {None, row["job"]}]

    async def _ended(self, subject: str) -> bool:
        if not await self._database.fetchval(_ENDED, subject):
            return False
        # Another event can publish a run again after it ended: that message counts as unfinished.
        found = [str(row["id"]) for row in await self._database.fetch(_RUNS, subject)]
        queues = [*self._broker.lrange("default", 0, -1), *self._broker.lrange("cpu", 0, -1)]
        messages = [*queues, *self._broker.hvals("unacked")]
        return not any(run in str(message) for run in found for message in messages)

    def _mails(self, address: str) -> list[Mail]:
        mails = reversed(self._mailbox.newest_first())
        return [mail for mail in mails if any(one.address == address for one in mail.to)]


_JOBS = pytest.StashKey[Jobs]()


@pytest.fixture
def relay_rests(request: pytest.FixtureRequest) -> Iterator[None]:
    """Stops the relay of `jobs` in a test that looks at what waits: it would be taken at once."""
    jobs = request.session.stash.get(_JOBS, None)
    with (
        contextlib.nullcontext() if jobs is None or "jobs" in request.fixturenames else jobs.held()
    ):
        yield


@pytest.fixture(scope="session")
async def jobs(
    request: pytest.FixtureRequest,
    stack: Stack,
    mailbox: Mailbox,
    smtp_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Jobs]:
    """A worker and a relay that run until the session ends."""
    refuse_remote(stack.database_url)
    broker = urlsplit(stack.broker_url)
    changes = {
        "REDIS_DB": urlsplit(stack.cache_url).path.strip("/"),
        "BROKER_HOST": str(broker.hostname),
        "BROKER_PORT": str(broker.port),
        "BROKER_DB": broker.path.strip("/"),
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(smtp_port),
        "SMTP_SECURITY": "none",
        "MAIL_UNSUBSCRIBE": "unsubscribe@example.com",
        "WORKER_CONCURRENCY": "1",
        "LOG_LEVEL": "INFO",
    }
    database = await asyncpg.connect(stack.database_url)
    await database.execute(_FORGET)
    client = Redis.from_url(stack.broker_url, decode_responses=True, socket_timeout=5)
    folder = tmp_path_factory.mktemp("jobs")
    processes: list[Process] = []
    reaper = Reaper()
    try:
        for name in ("worker", "relay"):
            processes.append(await _start(name, environment(stack, APPLICATION, **changes), folder))
            reaper.watch(processes[-1].pid, signal.SIGKILL)
        await until(lambda: all(_works(one, folder) for one in processes), seconds=60)
        jobs = Jobs(mailbox, database, client, worker=processes[0], relay=processes[1])
        request.session.stash[_JOBS] = jobs
        yield jobs
        for process in processes:
            process.signal(signal.SIGTERM)
        for process in processes:
            assert await process.ended(10) == 0, process.printed
    finally:
        for process in processes:
            process.kill()
            await process.ended()
            reaper.forget(process.pid)
        reaper.finish()
        client.close()
        await database.close()


async def _start(name: str, env: dict[str, str], folder: Path) -> Process:
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        started = await asyncio.create_subprocess_exec(
            *(*APPLICATION.argv, name),
            cwd=ROOT,
            env={**env, **_coverage(), "HEARTBEAT_FILE": str(folder / name)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    return Process(name, started, log)


def _coverage() -> dict[str, str]:
    """Return the variables by which coverage.py measures child processes, if it is active."""
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


def _works(process: Process, folder: Path) -> bool:
    assert process.running, process.printed
    return (folder / process.name).exists()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the last output of both processes if a test of jobs fails."""
    report = yield
    found = getattr(item, "funcargs", {}).get("jobs")
    if report.failed and isinstance(found, Jobs):
        for process in (found.worker, found.relay):
            report.sections.append((f"Output of {process.name}", process.printed[-_SHOWN:]))
    return report
