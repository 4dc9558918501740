"""`./app bench`: its figures are of correct responses; no test says how fast anything is."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from itertools import islice

import pytest
from typer.testing import CliRunner

from bench import report
from bench.cases import BASE, NAMES, Case, cases
from bench.errors import BenchError
from bench.first import settle
from bench.growth.fill import Sizes
from bench.growth.reading import Reading
from bench.growth.run import Growth
from bench.growth.statement import Statement
from bench.jobs import run as bench_jobs
from bench.load import Load, Plan
from bench.messages import ADDRESS, POST, Messages, message, post_id
from bench.processors import Processors, cpu_seconds, on, resident_bytes
from bench.run import Figure
from bench.system import Server
from cli import app
from kit.process import ROOT
from kit.processes import all_processes, descendants
from kit.waiting import until

HIT = b"HTTP/1.1 200 OK\r\nX-Cache: HIT\r\nContent-Length: 2\r\n\r\n{}"
CASE = Case(name="hit", server="api", path="/", expected="200 HIT")


def figure(case, cpu_us):
    return Figure(case=case, requests=10, cpu_us=cpu_us, per_second=1e6 / cpu_us, busy=1.0)


ROUNDS = [
    [figure(BASE, 100.0), figure("hit", 50.0)],
    [figure(BASE, 200.0), figure("hit", 80.0)],
    [figure(BASE, 120.0), figure("hit", 90.0)],
]


def test_each_round_is_compared_with_its_own_base_and_the_median_counts():
    assert report.ratios(ROUNDS) == {BASE: 1.0, "hit": 0.5}  # the median of 0.5, 0.4 and 0.75


def test_json_has_a_line_for_each_case_and_the_ratios_last():
    *figures, last = map(json.loads, report.lines(ROUNDS))
    assert last == {"ratio": {BASE: 1.0, "hit": 0.5}}
    assert [one["case"] for one in figures] == [BASE, "hit"]
    assert figures[1]["cpu_us"] == {"min": 50.0, "median": 80.0, "max": 90.0}
    assert figures[1]["requests_per_second"]["median"] == 12_500.0
    assert figures[1]["requests"] == 30


def test_people_see_a_row_for_each_case():
    rows = [line.split() for line in report.table(ROUNDS)]
    assert ["hit", "50.0", "80.0", "90.0", "12,500", "100%", "0.50"] in rows


def test_a_job_is_compared_with_each_bare_task_by_medians():
    figures = [
        bench_jobs.Figure(worker=worker, jobs=10, per_second=100, cpu_ms=cpu_ms, memory_mib=50)
        for cpu_ms in (1.0, 9.0, 2.0)
        for worker, cpu_ms in (("worker", 3 * cpu_ms), ("prefork", 2 * cpu_ms), ("threads", cpu_ms))
    ]
    _, *rows, _, last = bench_jobs.table(figures)
    assert [row.split() for row in rows[:2]] == [
        ["worker", "100", "6.00", "50"],
        ["prefork", "100", "4.00", "50"],
    ]
    assert last == "CPU time of a job: 1.50 of prefork, 3.00 of threads"
    assert json.loads(bench_jobs.lines(figures)[0])["cpu_ms"] == 3.0


@pytest.mark.nightly  # its servers and six workers take a minute
def test_jobs_are_measured_and_no_mail_is_missing():
    result = CliRunner().invoke(app, ["bench", "--jobs", "--requests", "50", "--rounds", "1"])
    assert result.exit_code == 0, result.output
    assert "CPU time of a job: " in result.output


def test_every_case_expects_the_answer_that_it_is_named_after():
    expected = {case.name: case.expected for case in cases("token", "etag")}
    assert expected == {
        "bare": "200",
        BASE: "200",
        "hit": "200 HIT",
        "hit_with_token": "200 HIT",
        "304": "304",
        "429": "429",
        "miss": "200 MISS",
        "write": "201",
        "lookup_off": "200 BYPASS",
    }


@pytest.mark.parametrize("wrong", ["200", "200 MISS", "200 STALE", "200 HITS", "503", "304 HIT"])
def test_one_wrong_answer_of_many_makes_the_figures_worthless(wrong):
    CASE.refuse_wrong({"200 HIT": 999})
    with pytest.raises(BenchError, match=rf"^hit: .* 200 HIT, .* 1 of {wrong}, of 1000 together"):
        CASE.refuse_wrong({"200 HIT": 999, wrong: 1})


def test_no_answer_at_all_makes_the_figures_worthless():
    with pytest.raises(BenchError, match="there are none"):
        CASE.refuse_wrong({})


def test_a_case_that_says_nothing_of_the_cache_takes_every_x_cache():
    case = Case(name="304", server="api", path="/", expected="304")
    case.refuse_wrong({"304": 1, "304 HIT": 1})
    with pytest.raises(BenchError):
        case.refuse_wrong({"200 HIT": 1})


@pytest.fixture
async def listening(unused_tcp_port):
    """Runs a server that responds to each request with the next of these pieces, in turn."""
    async with contextlib.AsyncExitStack() as stack:

        async def listen(*answers):
            requests = []

            async def serve(reader, writer):
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                    while True:
                        requests.append(await reader.readuntil(b"\r\n\r\n"))
                        answer = answers[(len(requests) - 1) % len(answers)]
                        if answer is None:
                            break
                        for piece in [answer] if isinstance(answer, bytes) else answer:
                            writer.write(piece)
                            await writer.drain()
                            await asyncio.sleep(0)
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", unused_tcp_port)
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
            return requests

        yield listen


@pytest.fixture
def load(unused_tcp_port):
    """Runs the load against this server."""

    async def run(*templates, **options):
        plan = {"connections": 3, "seconds": 0.2, "requests": 30, "warm_up_seconds": 0} | options
        messages = list(templates or (message("/"),))
        return await Load(
            Plan(port=unused_tcp_port, pid=os.getpid(), templates=messages, **plan)
        ).run()

    return run


async def test_the_load_counts_answers_by_status_and_x_cache(listening, load):
    missing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
    unchanged = b"HTTP/1.1 304 Not Modified\r\nx-cache: HIT\r\n\r\n"
    await listening(HIT, missing, unchanged)
    outcome = await load(connections=1)
    assert outcome.answers == {"200 HIT": 10, "404": 10, "304 HIT": 10}
    assert outcome.seconds > 0
    assert outcome.cpu_seconds > 0


async def test_the_load_reads_answers_in_whatever_pieces_they_come(listening, load):
    await listening([HIT[place : place + 1] for place in range(len(HIT))], [HIT[:-1], HIT[-1:]])
    assert (await load()).answers == {"200 HIT": 30}


async def test_the_load_ends_after_its_time_where_nothing_is_counted(listening, load):
    await listening(HIT)
    outcome = await load(requests=None, seconds=0.2)
    assert outcome.answers.keys() == {"200 HIT"}
    assert outcome.seconds >= 0.2


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, "closed a connection"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "without Content-Length"),
        (HIT + b"}", "more than its Content-Length"),
    ],
)
async def test_what_is_no_whole_answer_ends_the_load(listening, load, answer, sentence):
    await listening(answer)
    with pytest.raises(BenchError, match=sentence):
        await load()


async def test_a_load_that_nobody_listens_to_is_an_error(load):
    with pytest.raises(OSError, match="Connect"):
        await load()


async def test_each_miss_asks_for_another_post_until_there_is_none(listening, load):
    requests = await listening(HIT)
    outcome = await load(message(f"/posts/{POST}"), requests=None, seconds=60, posts=(5, 25))
    paths = [request.split()[1].decode() for request in requests]
    assert sorted(paths) == sorted(f"/posts/{post_id(number)}" for number in range(5, 25))
    assert outcome.next_post == 25


async def test_too_few_posts_for_the_warm_up_are_an_error(listening, load):
    await listening(HIT)
    with pytest.raises(BenchError, match="too few posts"):
        await load(message(POST), posts=(0, 3), warm_up_seconds=60)


def test_messages_go_out_in_turn_and_no_address_twice():
    sent = Messages(["a", f"b {POST}", f"c {ADDRESS}"], range(2), first_address=255)
    assert list(sent) == [
        b"a",
        f"b {post_id(0)}".encode(),
        b"c 10.0.0.255",
        b"a",
        f"b {post_id(1)}".encode(),
        b"c 10.0.1.0",
        b"a",
    ]
    assert list(islice(Messages(["a"], range(0)), 3)) == [b"a"] * 3


async def test_a_server_that_never_answers_as_expected_is_one_sentence(listening, unused_tcp_port):
    await listening(HIT.replace(b"HIT", b"MISS"))
    server = Server(name="api", port=unused_tcp_port, pid=os.getpid())
    with pytest.raises(BenchError, match=r"^hit: GET / is answered by 200 MISS, and .* 200 HIT"):
        await asyncio.to_thread(settle, CASE, server, seconds=0.2)


async def test_the_second_read_may_be_the_first_hit(listening, unused_tcp_port):
    await listening(HIT.replace(b"HIT", b"MISS"), HIT.replace(b"X-C", b'ETag: "a"\r\nX-C'))
    server = Server(name="api", port=unused_tcp_port, pid=os.getpid())
    assert await asyncio.to_thread(settle, CASE, server) == ('"a"', 2)


BUSY = "import sys; sum(range(10**7)); print(flush=True); sys.stdin.read()"


def test_cpu_time_and_memory_are_those_of_the_other_process():
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        before = cpu_seconds(process.pid)
        assert before > 0.02
        assert resident_bytes(process.pid) > 1024 * 1024
        process.stdin.close()
        process.wait()
        for ask in (cpu_seconds, resident_bytes):
            with pytest.raises(ProcessLookupError):
                ask(process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps processes on processors")
def test_what_is_started_meanwhile_stays_on_its_processors():
    before = os.sched_getaffinity(0)
    divided = Processors.divide()
    if len(before) == 1:
        assert divided == Processors(note=divided.note)
        return
    assert divided.server | divided.others == before
    assert len(divided.server) == 1
    assert not divided.server & divided.others
    command = [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"]
    with on(divided.server):
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert set(map(int, printed.split())) == divided.server
    assert os.sched_getaffinity(0) == before


def test_an_unknown_case_is_one_sentence_that_lists_the_known():
    found = CliRunner().invoke(app, ["bench", "--case", "hits"])
    assert found.exit_code == 1
    assert found.output == f"There is no such case: hits. There are: {', '.join(NAMES)}.\n"


@pytest.fixture
def command(tmp_path):
    """The arguments of a process whose temporary folders the test can inspect."""
    path = str(ROOT / "platform")
    return {
        "cwd": ROOT,
        "env": os.environ | {"PYTHONPATH": path, "TMPDIR": str(tmp_path)},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def bench(*options):
    return [sys.executable, "-m", "cli", "bench", *options]


@pytest.mark.slow
def test_a_run_ends_with_a_ratio_for_every_case(command, tmp_path):
    small = bench("--json", "--rounds", "1", "--requests", "200", "--connections", "8")
    done = subprocess.run(small, **command, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    *figures, last = map(json.loads, done.stdout.splitlines())
    assert tuple(last["ratio"]) == NAMES
    assert last["ratio"][BASE] == 1
    assert [one["case"] for one in figures] == list(NAMES)
    assert all(one["requests"] == 200 and one["cpu_us"]["median"] > 0 for one in figures)
    assert all(f"round 1 of 1  {name} " in done.stderr for name in NAMES)
    assert list(tmp_path.glob("devstack-*")) == []


@pytest.mark.slow
def test_a_small_run_says_what_a_process_held_before_and_after(command):
    small = bench("--memory", "--requests", "4000", "--connections", "8")
    done = subprocess.run(small, **command, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["memory"]
    assert found["requests"] == sum(found["answers"].values()) == 4000
    assert found["growth_mib"] == pytest.approx(found["after_mib"] - found["before_mib"], abs=0.011)
    for kind in ("200 HIT", "200 MISS", "201", "304", "404", "429"):
        assert any(answer.startswith(kind) for answer in found["answers"]), found


READ = Statement(name="list", sql="select", rows=100, milliseconds=5)


def reading(**changed):
    figures = {"returned": 20, "read": 40, "sorted": 20, "blocks": 50, "milliseconds": 1.0}
    return Reading(statement=READ, **figures | changed)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, ""),
        ({"read": 101}, "over: rows"),
        ({"sorted": 101, "whole": ("posts",)}, "over: rows (all of posts)"),
        ({"milliseconds": 5.1}, "over: ms"),
        ({"read": 101, "milliseconds": 5.1}, "over: rows, ms"),
    ],
)
def test_a_statement_over_its_bound_is_marked(changed, verdict):
    found = Growth(Sizes(), [reading(**changed)])
    assert bool(found.missed) == bool(verdict)
    _, row, *_, end = found.table()
    assert row.endswith(f"5{'  ' * bool(verdict)}{verdict}")
    assert end.startswith(f"1 statements, {int(bool(verdict))} over a bound; 1,000,000 posts")
    (line,) = map(json.loads, found.lines())
    assert line["ok"] == (not verdict)


@pytest.mark.slow
@pytest.mark.parametrize(("begins", "code"), [("event_topics", 0), ("repair_total", 1)])
def test_growth_shows_what_statements_read_and_fails_over_a_bound(command, begins, code):
    options = ["--posts", "10000", "--users", "10000", "--events", "10000", "--runs", "10000"]
    small = bench("--growth", *options, "--waiting", "1000", "--statement", begins, "--json")
    if code:  # a bound that cannot be kept
        program = (
            "import bench.growth.reading as r; from cli import main\n"
            "r.Reading.too_many = property(lambda self: True)\nmain()"
        )
        small = [sys.executable, "-c", program, *small[3:]]
    done = subprocess.run(small, **command, check=False, timeout=180)
    assert done.returncode == code, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found
    assert all(one["statement"].startswith(begins) and one["ms"] > 0 for one in found)
    assert all(one["ok"] == (not code) for one in found)
    assert "public.posts" in done.stderr


@pytest.mark.slow
async def test_ctrl_c_leaves_no_process(command):
    options = command | {"text": False}
    process = await asyncio.create_subprocess_exec(
        *bench("--rounds", "1", "--requests", "20000"), **options
    )
    await until(
        lambda: any("bench.entry api" in line for line in descendants(process.pid).values())
    )
    found = descendants(process.pid)
    assert len(found) > 4  # the database, two Valkeys and at least one server
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode != 0
    await until(lambda: not found.keys() & all_processes().keys())


@pytest.mark.slow
def test_sockets_shows_their_memory_and_how_soon_all_have_a_message():
    command = [sys.executable, "-m", "cli", "bench", "--sockets", "300", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    figures = json.loads(done.stdout)["sockets"]
    assert figures["sockets"] == 300
    assert 1_000 < figures["bytes_each"] < 200_000
    assert 0 < figures["median_ms"] <= figures["p99_ms"] <= figures["last_ms"]
