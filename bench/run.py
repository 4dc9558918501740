"""The measurement: every case once in each round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cases import BASE, Case, cases
from bench.driver import drive
from bench.first import settle
from bench.load import Outcome, Plan
from bench.messages import POST
from bench.processors import Processors
from bench.system import Server, System, running

Say = Callable[[str], None]
_MISSES_PER_SECOND: Final = 3000  # more than any machine has reached; posts exist for as many


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `./app bench`; `requests`, if given, replaces `seconds`."""

    root: Path
    rounds: int = 3
    seconds: float = 2.0
    requests: int | None = None
    connections: int = 64
    only: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One case in one round: CPU microseconds for each request, and the processor's utilisation."""

    case: str
    requests: int
    cpu_us: float
    per_second: float
    busy: float


def measure(options: Options, say: Say) -> list[list[Figure]]:
    """Return the figures of each round; `say` gets progress messages.

    Raises BenchError for a wrong response, StackError if a server of the stack does not start.
    """
    processors = Processors.divide()
    if processors.note:
        say(processors.note)
    say("starting the stack")
    posts = 1 + options.rounds * _posts_of_a_run(options)
    with running(options.root, processors, posts=posts) as system:
        chosen, servers = _prepared(system, options, say)
        rounds: list[list[Figure]] = []
        next_post = 1
        for number in range(options.rounds):
            rounds.append([])
            for case in chosen:
                server = servers[case.server]
                last = min(next_post + _posts_of_a_run(options), system.posts)
                plan = Plan(
                    port=server.port,
                    pid=server.pid,
                    templates=[case.message],
                    connections=options.connections,
                    seconds=options.seconds,
                    requests=options.requests,
                    posts=(next_post, last),
                )
                outcome = drive(plan, system.environment())
                case.refuse_wrong(outcome.answers)
                next_post = outcome.next_post
                figure = _figure(case, outcome)
                say(f"round {number + 1} of {options.rounds}  {_line(figure)}")
                rounds[-1].append(figure)
        return rounds


def _prepared(
    system: System, options: Options, say: Say
) -> tuple[Sequence[Case], dict[str, Server]]:
    """Start the needed servers; return the cases, each of which has been checked once."""
    wanted = {BASE, *options.only}
    every = {case.name: case for case in cases(system.token, "")}
    say("starting the servers")
    servers = {"api": system.api("api")}
    hit = settle(every["hit"], servers["api"])
    chosen = [
        case for case in cases(system.token, hit.etag) if not options.only or case.name in wanted
    ]
    makers: dict[str, Callable[[str], Server]] = {
        "bare": lambda name: system.reference(name, size=hit.size, redis=False),
        BASE: lambda name: system.reference(name, size=hit.size, redis=True),
        # A separate database: its rate limit log is not shared with the others.
        "refusing": lambda name: system.api(name, RATE_LIMIT_DEFAULT="1/hour", REDIS_DB="1"),
        "without_lookup": lambda name: system.api(name, CACHE_ENABLED="false"),
    }
    for name in {case.server: None for case in chosen if case.server != "api"}:
        servers[name] = makers[name](name)
    for case in chosen:
        if POST not in case.path:
            settle(case, servers[case.server])
    return chosen, servers


def _posts_of_a_run(options: Options) -> int:
    """Return how many posts the misses of one run may read, including the warm-up."""
    wanted = options.requests or round(options.seconds * _MISSES_PER_SECOND)
    return wanted + _MISSES_PER_SECOND


def _figure(case: Case, outcome: Outcome) -> Figure:
    requests = sum(outcome.answers.values())
    return Figure(
        case=case.name,
        requests=requests,
        cpu_us=outcome.cpu_seconds / requests * 1e6,
        per_second=requests / outcome.seconds,
        busy=outcome.cpu_seconds / outcome.seconds,
    )


def _line(figure: Figure) -> str:
    return f"{figure.case:<15} {figure.cpu_us:8.1f} µs {figure.per_second:9,.0f} requests/s"
