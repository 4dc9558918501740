"""The soak finds what was lost and what happened twice; a small one and two whole ones run here."""

import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from bench.soak import report
from bench.soak.run import Kind, Options, Result, Soak, drawn
from cli import app
from cli.checkout import ROOT

SCHEMA = (ROOT / "bench" / "soak" / "schema.sql").read_text()
SLOT = "2026-01-02T03:04:06+00:00"
RUN = """
insert into jobs.runs (id, job, event_id, item, state, finished_at)
values ($1, 'soak.mail', 1, 0, 'succeeded', now() - interval '1 second')
"""


class Effects:
    """The soak's tables in a database of the test; it replaces the stack."""

    def __init__(self, sql):
        self.sql = sql

    async def fetch(self, query, *arguments):
        return await self.sql.fetch(query, *arguments)

    async def add(self, subject, *, calls=1, runs_again=False):
        key = uuid4()
        await self.sql.execute(
            "insert into public.soak_effects (key, subject, calls) values ($1, $2, $3)",
            *(key, subject, calls),
        )
        if runs_again:
            await self.sql.execute(RUN, key)
        await self.sql.execute("select public.soak_start($1, $2, 1, 1)", subject, key)


@pytest.fixture
async def effects(own_database):
    """All four jobs of a soak and a slot have had their effect, but for what a test removes."""
    transaction = own_database.sql.transaction()
    await transaction.start()
    await own_database.sql.execute(SCHEMA)
    found = Effects(own_database.sql)
    await own_database.sql.execute(
        "select outbox.put('job_due', jsonb_build_array(jsonb_build_object('job', 'soak.tick', "
        f"'slot', '{SLOT}'::timestamptz)))"
    )
    for subject in ("mail/0", "mail/1", "compute/2", "welcome/3", f"tick/{SLOT}"):
        await found.add(subject)
    yield found
    await transaction.rollback()


async def counted(effects):
    soak = Soak(effects, Options(root=ROOT, jobs=4, kills=0), print)
    await soak.count()
    return soak.result


async def test_a_soak_without_a_fault_is_good(effects):
    found = await counted(effects)
    assert found.good
    assert {name: kind.jobs for name, kind in found.kinds.items()} == {
        "mail": 2, "compute": 1, "welcome": 1, "tick": 1,
    }  # fmt: skip


@pytest.mark.parametrize("subject", ["mail/1", "compute/2", "welcome/3", f"tick/{SLOT}"])
async def test_a_job_without_its_effect_is_lost(effects, subject):
    await effects.sql.execute("delete from public.soak_effects where subject = $1", subject)
    found = await counted(effects)
    assert (found.lost, found.twice, found.good) == (1, 0, False)
    assert found.kinds[subject.partition("/")[0]].lost == 1


async def test_two_runs_of_one_job_are_an_effect_twice(effects):
    await effects.add("welcome/3")
    found = await counted(effects)
    assert (found.lost, found.twice, found.good) == (0, 1, False)


async def test_a_run_that_begins_after_its_success_counts_as_twice(effects):
    await effects.sql.execute("delete from public.soak_effects where subject = 'mail/0'")
    await effects.add("mail/0", runs_again=True)
    found = await counted(effects)
    assert (found.started_after_success, found.good) == (1, False)


async def test_a_call_that_the_key_made_one_is_shown_and_is_no_fault(effects):
    await effects.sql.execute("update public.soak_effects set calls = 3 where subject = 'mail/0'")
    found = await counted(effects)
    assert found.good
    assert found.kinds["mail"].repeated_calls == 2


def test_the_same_seed_draws_the_same_kills():
    found = [drawn(Options(root=ROOT, seed=seed), random.Random(seed)) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    places = [place for place, _ in found[0]]
    assert places == sorted(places, reverse=True)
    assert Counter(target for _, target in found[0]) == {
        "worker": 19, "child": 12, "relay": 7, "broker": 6, "beat": 6,
    }  # fmt: skip


def test_people_see_a_row_for_each_kind_and_the_sums():
    kinds = {"mail": Kind(jobs=5000, starts=5003, effects=5000, repeated_calls=1)}
    result = Result(kinds=kinds, kills=Counter(worker=2, broker=1), seconds=61.2, seed=7)
    lines = report.table(result)
    assert lines[0].split() == ["kind", "jobs", "starts", *lines[0].split()[3:]]
    assert lines[1].split() == ["mail", "5,000", "5,003", "5,000", "0", "0", "1"]
    assert lines[2].split() == ["all", "5,000", "5,003", "5,000", "0", "0", "1"]
    assert "kills: 3 (worker groups 2, broker 1)" in lines
    assert {"lost: 0", "effects twice: 0 (begun after success: 0)", "time: 61 s, seed 7"} < {*lines}


def test_more_kills_than_jobs_can_have_are_one_sentence():
    found = CliRunner().invoke(app, ["soak", "--jobs", "20", "--kills", "11"])
    assert (found.exit_code, found.output) == (
        1,
        "There must be at least two jobs for each kill.\n",
    )


def soak(folder: Path, *options: str, seconds: int) -> str:
    """Run a soak without a fault; return its table."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "soak", *options],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "platform"), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nlost: 0\neffects twice: 0 (begun after success: 0)\n" in done.stdout
    assert list(folder.iterdir()) == []
    return done.stdout


@pytest.mark.slow
def test_c5_a_hundred_jobs_under_four_kills_have_one_effect_each(tmp_path):
    table = soak(tmp_path, "--jobs", "100", "--kills", "4", "--seed", "1", seconds=240)
    assert re.search(r"^welcome +25 +\d+ +25 +0 +0 ", table, re.MULTILINE)
    assert "kills: 4 (worker groups 1, processes of workers 1, relays 1, broker 1)" in table


@pytest.mark.nightly
@pytest.mark.parametrize("restarts", [0, 5])
def test_c5_ten_thousand_jobs_under_fifty_kills_have_one_effect_each(tmp_path, restarts):
    table = soak(tmp_path, "--postgres-restarts", str(restarts), seconds=3 * 3600)
    assert re.search(r"^mail +5,000 +[\d,]+ +5,000 +0 +0 ", table, re.MULTILINE)
    assert f"kills: {50 + restarts} (" in table
