"""`./app bench --jobs`: what a mail job costs, beside a bare Celery task with the same mail."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.errors import BenchError
from bench.jobs import bare
from bench.jobs.stack import Stack, started
from bench.processors import Processors, cpu_seconds, group, proportional_bytes

Say = Callable[[str], None]

_MIB: Final = 1024 * 1024
_WARM: Final = 100  # jobs before the measured ones: connections open, templates compile
_PATIENCE_SECONDS: Final = 120.0
OURS: Final = "worker"
# Its name, the pool, and its processes or threads.
_BARE: Final = (("celery prefork", "prefork", 2), ("celery threads", "threads", 32))


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What one worker did in one round; CPU time and memory are of all its processes."""

    worker: str
    jobs: int
    per_second: float
    cpu_ms: float
    memory_mib: float


def measure_jobs(root: Path, *, jobs: int, rounds: int, say: Say) -> list[Figure]:
    """Return a figure for each worker and round.

    Every worker has one processor; mail server, Supabase and broker have the others. Raises
    BenchError if a job is not done or a mail is missing, StackError if a server does not start.
    """
    processors = Processors.divide()
    if processors.note:
        say(processors.note)
    say("starting the stack")
    figures = []
    with started(root, processors) as stack:
        for _ in range(rounds):
            stack.ask(_WARM + jobs)
            own = ("bench.jobs.entry", "worker", "--queue", "default")
            figures.append(_measured(stack, OURS, "default", jobs, *own))
            for name, pool, concurrency in _BARE:
                _ask_bare(stack, _WARM + jobs)
                smtp = str(stack.settings.smtp_port)
                other = ("bench.jobs.bare", stack.broker, smtp, pool, str(concurrency))
                figures.append(_measured(stack, name, bare.QUEUE, jobs, *other))
            for one in figures[-1 - len(_BARE) :]:
                say(_row(one))
    return figures


def table(figures: list[Figure]) -> list[str]:
    """Return the report for people: medians, and CPU time relative to each bare worker."""
    ours, *others = map(_middle, _by_worker(figures))
    ratios = ", ".join(f"{ours.cpu_ms / one.cpu_ms:.2f} of {one.worker}" for one in others)
    head = f"{'':<16} {'jobs/s':>9} {'CPU ms':>9} {'MiB':>7}"
    return [head, *map(_row, (ours, *others)), "", f"CPU time of a job: {ratios}"]


def lines(figures: list[Figure]) -> list[str]:
    """Return JSON Lines: one for each figure."""
    return [json.dumps(asdict(one)) for one in figures]


def _measured(stack: Stack, name: str, queue: str, jobs: int, *command: str) -> Figure:
    before = stack.letters()
    with stack.running(*command) as pid:
        _until(stack, queue, jobs)
        began, spent = time.perf_counter(), _cpu(pid)
        at_first = stack.waiting(queue)
        _until(stack, queue, 0)
        seconds, spent = time.perf_counter() - began, _cpu(pid) - spent
        memory = sum(map(proportional_bytes, group(pid)))
    if (sent := stack.letters() - before) != _WARM + jobs:
        raise BenchError(f"{name} sent {sent} mails for {_WARM + jobs} jobs: no figures.")
    return Figure(
        worker=name,
        jobs=at_first,
        per_second=at_first / seconds,
        cpu_ms=1000 * spent / at_first,
        memory_mib=memory / _MIB,
    )


def _until(stack: Stack, queue: str, number: int) -> None:
    """Wait until no more than so many jobs are left."""
    least, changed = stack.waiting(queue), time.monotonic()
    while least > number:
        time.sleep(0.02)
        if (left := stack.waiting(queue)) < least:
            least, changed = left, time.monotonic()
        if time.monotonic() - changed > _PATIENCE_SECONDS:
            raise BenchError(f"{least} jobs were not done.")


def _cpu(pid: int) -> float:
    return sum(map(cpu_seconds, group(pid)))


def _ask_bare(stack: Stack, number: int) -> None:
    app = bare.bare(stack.broker)
    with app.connection_for_write() as connection, connection.Producer() as producer:
        for one in range(number):
            app.send_task(bare.TASK, [f"user{one}@example.com"], producer=producer)


def _by_worker(figures: list[Figure]) -> list[list[Figure]]:
    names = dict.fromkeys(one.worker for one in figures)
    return [[one for one in figures if one.worker == name] for name in names]


def _middle(figures: list[Figure]) -> Figure:
    return Figure(
        worker=figures[0].worker,
        jobs=sum(one.jobs for one in figures),
        per_second=median(one.per_second for one in figures),
        cpu_ms=median(one.cpu_ms for one in figures),
        memory_mib=median(one.memory_mib for one in figures),
    )


def _row(one: Figure) -> str:
    return f"{one.worker:<16} {one.per_second:>9,.0f} {one.cpu_ms:>9.2f} {one.memory_mib:>7.0f}"
