"""`./app load`: its tables follow from what was seen, and a missed bound is exit code 1."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.scale import capacity, flat, report
from bench.scale.connected import Client, Load, Wanted
from bench.scale.costs import Cost
from bench.scale.costs import table as costs_table
from bench.scale.faults import Fault, Faults
from bench.scale.observed import Observed, Seen, Times
from bench.scale.scenarios import SCENARIOS, missed
from bench.scale.usage import Usage, usage
from cli import app
from kit.process import ROOT
from kit.processes import all_processes, descendants
from kit.waiting import until

BROWSE = SCENARIOS["browse"]
READ = ("get_post", "list_posts", "get_me")
whole = pytest.mark.skipif(
    not all((ROOT / "features" / name).exists() for name in READ),
    reason="a slice that the scenarios call was removed",
)


def seen(*outcomes, ms=10.0, call="post", began=0.0):
    """Return answers, one a second."""
    found = [Seen(call, outcome, began + at, ms) for at, outcome in enumerate(outcomes)]
    return Observed(began, began + len(found), found)


def test_percentiles_are_the_nearest_rank():
    many = [Seen("post", "200", 0, float(ms)) for ms in range(1, 101)]
    assert Times.of(many) == (50, 95, 99)
    assert Times.of(many[:1]) == (1, 1, 1)
    assert Times.of([]) == (0, 0, 0)


def test_the_hit_rate_counts_cached_reads_alone():
    found = seen("200 HIT", "200 HIT", "200 STALE", "304 HIT", "200 MISS", "201", "200 BYPASS")
    assert found.hit_rate == pytest.approx(4 / 5)
    assert seen("201").hit_rate is None


def test_the_time_of_several_calls_is_no_call():
    found = seen("200", "200", call="archive is ready")
    assert (found.calls, found.rate) == ([], 0)
    assert seen("archive failed", call="archive is ready").errors.total() == 1


def test_what_ended_before_the_measurement_is_left_out():
    found = seen(*["500"] * 3, *["200 HIT"] * 7).since(3)
    assert (len(found.calls), found.errors.total(), found.rate) == (7, 0, 1.0)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (seen(*["200 HIT"] * 9), None),
        (seen(*["200 HIT"] * 9, ms=200), "P95 is 200 ms"),
        (seen(*["200 HIT"] * 4, "200 MISS"), "The hit rate is 80.0%"),
        (seen("201"), "The hit rate is unknown"),
        (seen(*["200 HIT"] * 9, "503"), "1 errors without a fault: 1 of post: 503"),
        (seen(*["200 HIT"] * 9, "ConnectionRefusedError"), "1 errors without a fault"),
        (Observed(0, 10), "There was no call"),
    ],
)
def test_a_bound_that_is_missed_is_a_sentence(found, sentence):
    sentences = missed(BROWSE, found)
    assert bool(sentences) == bool(sentence)
    assert any((sentence or "") in one for one in sentences) or sentence is None


def test_one_slow_answer_of_fifty_misses_the_bound_of_p99_alone():
    found = seen(*["200 HIT"] * 49)
    found.seen.append(Seen("post", "200 HIT", 48.5, 500.0))
    assert [one[:3] for one in missed(BROWSE, found)] == ["P99"]


def test_writes_need_no_hits():
    assert missed(SCENARIOS["write"], seen("201", "200 MISS")) == []


def test_a_scaled_scenario_says_so():
    assert BROWSE.sized(scale=1, users=None, seconds=None) is BROWSE
    small = BROWSE.sized(scale=0.1, users=None, seconds=30)
    assert small.title == "browse: 100 users, 30 s (scaled: 100 of 1,000 users, 30 of 120 s)"
    assert small.ramp_seconds == 10
    assert BROWSE.sized(scale=0.1, users=7, seconds=None).users == 7


def test_the_table_has_each_call_and_the_sum():
    found = seen(*["200 HIT"] * 8, "200 MISS", "503")
    found.seen += seen("201", ms=30, call="create").seen
    lines = report.answers(found)
    assert lines[1].split() == ["post", "10", "1.0", "10.0", "10.0", "10.0", "1"]
    assert lines[2].split() == ["create", "1", "0.1", "30.0", "30.0", "30.0", "0"]
    assert lines[3].split()[:3] == ["all", "11", "1.1"]
    assert "hit rate: 88.9% of the cached reads (counted by X-Cache)" in lines
    assert "error: 1 of post: 503" in lines


def test_a_busy_generator_is_named():
    before = {"api 1": Usage(), "generator": Usage()}
    after = {"api 1": Usage(1.0, 2**20), "generator": Usage(9.5, 2**20)}
    lines = report.processes(before, after, 10)
    assert lines[1].split() == ["api", "1", "10%", "1", "MiB"]
    assert lines[-1].startswith("The generator used a whole core")
    assert len(report.processes(before, after, 20)) == 3


def test_the_plot_has_a_bar_for_each_part_of_the_time():
    assert report.bars([0, 1, 4, 8]) == "▁▂▅█"
    assert report.bars([0, 0]) == "▁▁"
    rate, slow = report.plot(seen(*["200"] * 8))
    assert (rate.count("█"), slow.count("█")) == (8, 8)


def held(first, last, **changed):
    """Return ten samples: the first half has one value, the second half another."""
    return [
        flat.Sample(
            at, {"api 1": Usage(0, value, 50, 5)}, **{"redis_bytes": 0, "connections": 9} | changed
        )
        for at, value in enumerate([first] * 5 + [last] * 5)
    ]


def test_g5_memory_that_grows_is_a_sentence():
    mib = 2**20
    assert flat.missed(flat.held(held(100 * mib, 117 * mib))) == []
    (sentence,) = flat.missed(flat.held(held(100 * mib, 119 * mib)))
    assert sentence == "api 1: MiB grew from 100.0 to 119.0, and may by 18.0."
    assert flat.missed(flat.held(held(119 * mib, 100 * mib))) == []


@pytest.mark.parametrize(("what", "by"), [("descriptors", 11), ("threads", 3)])
def test_descriptors_and_threads_that_grow_are_a_sentence(what, by):
    few, many = Usage(0, 0, 50, 5), Usage(0, 0, 50, 5)
    many = Usage(0, 0, 50 + by * (what == "descriptors"), 5 + by * (what == "threads"))
    samples = [
        flat.Sample(at, {"api 1": one}, 0, 9) for at, one in enumerate([few] * 5 + [many] * 5)
    ]
    (sentence,) = flat.missed(flat.held(samples))
    assert sentence.startswith(f"api 1: {what} grew")


def test_what_a_process_uses_includes_its_children():
    child = "[sys.executable, '-c', 'import time; time.sleep(60)']"
    program = f"import subprocess, sys; subprocess.run({child})"
    with subprocess.Popen([sys.executable, "-c", program], start_new_session=True) as process:
        try:
            while (found := usage({"it": process.pid})["it"]).processes < 2:
                assert process.poll() is None
            assert found.memory_bytes > 2**20
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert usage({"it": process.pid})["it"] == Usage()


def fault(*outcomes, allowed=("503",)):
    found = Fault(name="a fault", began=0, allowed=allowed)
    found.judge(seen(*outcomes).seen, len(outcomes))
    return found


def test_errors_of_a_fault_end_and_are_documented():
    calm = ["200"] * 8
    assert fault("503", "503", *calm).row == ("a fault", "2", "1.0 s", "2 of 503")
    assert fault("503", "503", *calm).missed == []
    assert fault(*calm).row == ("a fault", "0", "at once", "none")
    (sentence,) = fault("500", *calm).missed
    assert sentence == "a fault: errors that no page documents: 500."
    (sentence,) = fault(*calm, "503").missed
    assert sentence == "a fault: errors until 8 s after it."
    assert fault("503", *calm, allowed=()).missed


class Database:
    """A stack's database, with everything settled."""

    def __init__(self, sql):
        self.sql = sql

    async def fetch(self, query, *arguments):
        return await self.sql.fetch(query, *arguments)

    async def settled(self, seconds):
        return 0


PUBLISHED = """
with put as (
  insert into outbox.events (topic, items) values ('post_published', $1::text::jsonb) returning id
)
insert into jobs.runs (id, job, event_id, item, state, finished_at)
select gen_random_uuid(), 'notify_post_published.notify_author', put.id, 1, $2, now() from put
"""


async def test_a_post_whose_job_has_not_succeeded_is_lost(own_database):
    transaction = own_database.sql.transaction()
    await transaction.start()
    for post, state in (("a", "succeeded"), ("b", "failed")):
        items = json.dumps([{"post_id": "other"}, {"post_id": post}])
        await own_database.sql.execute(PUBLISHED, items, state)
    stack: Any = Database(own_database.sql)
    faults = Faults(stack, print)
    assert await faults._lost(["a", "b", "c"]) == (2, 0)
    assert await faults._lost(["a"]) == (0, 0)
    await transaction.rollback()


async def test_a_fault_that_was_not_made_is_missed(own_database):
    stack: Any = Database(own_database.sql)
    faults = Faults(stack, print)
    faults._planned = 2
    faults._faults.append(Fault(name="no fault", began=0, allowed=()))
    lines = await faults.table(seen("200"))
    assert faults.missed == ["Only 1 of 2 faults were made."]
    assert lines[1].split() == ["no", "fault", "0", "at", "once", "none"]


FIGURES = """
| call | API µs | Auth and PostgREST µs | Postgres µs | Redis µs | relay µs | worker µs | x |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| hit | 100 | 0 | 0 | 10 | 0 | 0 | 10,000 |
| miss | 1,000 | 2,000 | 300 | 20 | 0 | 0 | 1,000 |
| change a draft | 2,000 | 0 | 0 | 0 | 0 | 0 | 500 |
| publish, with its job | 2,000 | 0 | 0 | 0 | 1,000 | 6,000 | 500 |
| login | 4,000 | 60,000 | 0 | 0 | 0 | 0 | 250 |
"""


def test_the_model_follows_from_the_figures():
    costs = capacity.read_costs(FIGURES)
    assert costs["miss"]["API"] == 1000
    found = capacity.need(100_000, costs)
    each = 0.87 * 100 + 0.09 * 1000 + 0.025 * 2000 + 0.01 * 2000 + 0.005 * 4000
    assert found.rate == 10_000
    assert found.cores["API"] == pytest.approx(10_000 * each / 1e6 / 0.6)
    assert found.cores["worker"] == pytest.approx(10_000 * 0.01 * 6000 / 1e6 / 0.6)
    assert found.api_processes == 10  # of 10,000 connections each
    assert capacity.need(10, costs).api_processes == 2
    assert capacity.most_users("Redis", costs) == int(6e6 / (0.87 * 10 + 0.09 * 20))


def test_the_table_of_the_page_follows_from_its_figures():
    page = (ROOT / capacity.PAGE).read_text("utf-8")
    for line in capacity.table(capacity.read_costs(page)):
        assert line in page, "./app load capacity prints the table"


def test_the_costs_are_a_table_that_the_model_reads():
    parts = ("API", "Auth and PostgREST", "Postgres", "Redis", "relay", "worker")
    costs = [Cost(call, 100, dict.fromkeys(parts, 1234.4)) for call in capacity.MIX]
    found = capacity.read_costs("\n".join(costs_table(costs)))
    assert found["login"] == {**dict.fromkeys(parts, 1234), "calls/s of an API core": 810}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["brows"], "There is no such scenario: brows. There are: browse, write, accounts,"),
        (["browse", "--scale", "0"], "--scale is a part of the users: more than 0, at most 1."),
        (["browse", "--scale", "nan"], "--scale is a part of the users: more than 0, at most 1."),
        (["spike", "--users", "99999999"], "99,999,999 users need 100,000,999 open files"),
        (["connections", "--rate", "100"], "10,000 connections need 167 requests a second, or"),
    ],
)
def test_wrong_input_is_one_sentence(options, sentence):
    found = CliRunner().invoke(app, ["load", *options])
    assert found.exit_code == 1
    assert found.output.startswith(sentence)
    assert found.output.count("\n") == 1


@pytest.fixture
async def answering(unused_tcp_port):
    """A server whose answers are hits, and the requests that it got."""
    asked = []

    async def answer(reader, writer):
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                asked.append(head.decode())
                writer.write(b"HTTP/1.1 200 OK\r\nX-Cache: HIT\r\nContent-Length: 2\r\n\r\n{}")

    async with await asyncio.start_server(answer, "127.0.0.1", unused_tcp_port):
        yield f"http://127.0.0.1:{unused_tcp_port}", asked


async def test_connections_stay_open_and_each_user_has_an_address(answering, capsys):
    url, asked = answering
    wanted = Wanted(
        urls=[url],
        tokens=["a", "b"],
        posts=["p"],
        connections=4,
        rate=100,
        ramp_seconds=0.1,
        seconds=0.2,
    )
    await Load(wanted).run()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    answers = [one for line in lines for one in line["seen"]]
    assert len(answers) >= 24
    assert {outcome for _, outcome, _, _ in answers} == {"200 HIT"}
    assert lines[-1]["users"] == 4
    clients = {found for head in asked for found in re.findall(r"X-Forwarded-For: (\S+)", head)}
    assert clients == {f"10.0.0.{number}" for number in range(4)}


async def test_a_connection_that_the_server_closes_is_an_error(unused_tcp_port):
    async def close(reader, writer):
        writer.close()

    wanted = Wanted(
        urls=[f"http://127.0.0.1:{unused_tcp_port}"],
        tokens=["a"],
        posts=["p"],
        connections=1,
        rate=1,
        ramp_seconds=0,
        seconds=0,
    )
    load = Load(wanted)
    async with await asyncio.start_server(close, "127.0.0.1", unused_tcp_port):
        client = Client(load, 0)
        await client.open()
        while load.open:
            await asyncio.sleep(0)
    assert [outcome for _, outcome, _, _ in load._seen] == ["The server closed a connection."]


def run(*options, folder, program=("-m", "cli")):
    return subprocess.run(
        [sys.executable, *program, "load", *options],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "platform"), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


@whole
@pytest.mark.slow
def test_a_small_run_shows_calls_and_processes_and_keeps_the_bounds_that_are_no_times(tmp_path):
    done = run("browse", "--users", "24", "--seconds", "15", folder=tmp_path)
    assert "scaled: 24 of 1,000 users, 15 of 120 s" in done.stdout, done.stderr
    assert re.search(r"^post +\d+ ", done.stdout, re.MULTILINE)
    assert re.search(r"^api 2 +\d+% +\d+ MiB$", done.stdout, re.MULTILINE)
    assert re.search(r"^generator +\d+% ", done.stdout, re.MULTILINE)
    (hits,) = re.findall(r"hit rate: ([\d.]+)%", done.stdout)
    assert float(hits) > 80
    assert re.search(r"15 s +24 users .* 0 errors$", done.stderr, re.MULTILINE)
    # Other tests may run beside it: then answers take longer, and it must say so.
    late = [line for line in done.stdout.splitlines() if line.startswith("MISSED: ")]
    assert all(re.match(r"MISSED: P9[59] is", line) for line in late)
    assert done.returncode == bool(late)
    assert list(tmp_path.iterdir()) == []


@whole
@pytest.mark.slow
def test_five_hundred_connections_stay_open_and_a_missed_bound_is_exit_code_1(tmp_path):
    program = "import bench.scale.scenarios as s; s.P95_MS = 0.0\nfrom cli import main\nmain()"
    options = ["--users", "500", "--seconds", "12", "--rate", "100"]
    done = run("connections", *options, folder=tmp_path, program=("-c", program))
    assert done.returncode == 1, done.stderr
    assert re.search(r"^MISSED: P95 is \d+ ms, and must be under 0 ms.$", done.stdout, re.MULTILINE)
    assert "errors without a fault" not in done.stdout
    assert "connections: 500 open at a time" in done.stdout
    assert re.search(r"memory of a connection, .*: \d+\.\d KiB in the API", done.stdout)


@whole
@pytest.mark.slow
async def test_ctrl_c_leaves_no_process(tmp_path):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "load", "connections", "--users", "50"),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "platform"), "TMPDIR": str(tmp_path)},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async for line in process.stderr:
        if b"users" in line and b"of 120 s" in line and b"requests/s" in line:
            break
    found = descendants(process.pid)
    assert any("bench.scale.connected" in line for line in found.values())
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 130
    await until(lambda: not found.keys() & all_processes().keys())
    assert list(tmp_path.iterdir()) == []
