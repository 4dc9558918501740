"""`./app dead-letters …` and `./app jobs …`, with this worker's stack."""

import json
from functools import partial
from uuid import uuid4

import pytest

from kit.dead_letters import failed_run, letter_of


@pytest.fixture
def letters(operator):
    """Runs `./app dead-letters …`."""
    return partial(operator, "dead-letters")


@pytest.fixture
def runs(operator):
    """Runs `./app jobs …`."""
    return partial(operator, "jobs")


@pytest.fixture
async def letter(database):
    """A dead letter, whose error would move a terminal's cursor."""
    letter = await failed_run(database, error="RuntimeError: out of\n\x1b[2Jpaper " + "x" * 400)
    yield letter
    await database.execute("delete from jobs.runs where id = $1", letter)
    await database.execute("delete from jobs.dead_letters where id = $1", letter)


async def test_dead_letters_are_a_table_for_people(letters, letter):
    found = await letters("list")
    assert found.exit_code == 0, found.output
    head, *rows = found.output.splitlines()
    assert head.split() == ["id", "job", "last_at", "attempts", "error"]
    (row,) = [one for one in rows if one.startswith(str(letter))]
    assert "nobody.knows_it" in row
    assert "RuntimeError: out of" in row
    assert "\x1b" not in found.output
    assert row.endswith("…")
    assert rows[-1].split()[1] == "of"


async def test_dead_letters_are_json_for_programs(letters, letter):
    found = json.loads((await letters("list", "--json")).output)
    (one,) = [one for one in found["data"] if one["id"] == str(letter)]
    assert one["arguments"] == {"job": "nobody.knows_it"}
    shown = json.loads((await letters("show", str(letter), "--json")).output)
    assert shown == one | {"message": None}


async def test_one_is_shown_whole_without_control_characters(letters, letter):
    found = await letters("show", str(letter))
    assert "x" * 400 in found.output
    assert "\x1b" not in found.output
    assert "nobody.knows_it" in found.output


async def test_c12_a_replay_is_once_marked_and_in_the_audit_log(letters, letter, database):
    found = await letters("replay", str(letter))
    assert found.exit_code == 0, found.output
    assert (await letter_of(database, letter))["settled_at"] is not None
    again = await letters("replay", str(letter))
    assert again.exit_code == 1
    assert "replayed or discarded before" in again.output
    query = "select action from audit.entries where details ->> 'dead_letter_id' = $1"
    entries = await database.fetch(query, str(letter))
    assert [entry["action"] for entry in entries] == ["dead_letter_replayed"]


async def test_a_discarded_one_is_listed_with_its_state(letters, letter):
    assert (await letters("discard", str(letter))).exit_code == 0
    assert str(letter) not in (await letters("list")).output
    assert str(letter) in (await letters("list", "--state", "discarded")).output


@pytest.mark.parametrize("command", ["show", "replay", "discard"])
async def test_an_unknown_id_is_one_sentence_and_a_wrong_one_is_explained(letters, command):
    found = await letters(command, str(uuid4()))
    assert found.exit_code == 1
    assert found.output.startswith("There is no dead letter ")
    assert (await letters(command, "7")).exit_code == 2


async def test_runs_are_listed_by_state_and_shown(runs, letter):
    found = await runs("list", "--state", "failed", "--json")
    assert str(letter) in [one["id"] for one in json.loads(found.output)["data"]]
    assert (await runs("list")).output.split()[:3] == ["id", "job", "state"]
    shown = json.loads((await runs("show", str(letter), "--json")).output)
    assert (shown["state"], shown["attempts"]) == ("failed", 4)
    assert (await runs("show", str(uuid4()))).exit_code == 1


async def test_a_failed_run_is_retried_and_no_other(runs, letter, database):
    assert (await runs("retry", str(letter))).exit_code == 0
    assert (await letter_of(database, letter))["settled_at"] is not None
    await database.execute("update jobs.runs set state = 'succeeded' where id = $1", letter)
    found = await runs("retry", str(letter))
    assert found.exit_code == 1
    assert "only a failed one" in found.output


async def test_a_job_with_a_schedule_runs_now_and_others_are_explained(runs, database):
    found = await runs("run", "nobody.knows_it")
    assert found.exit_code == 1
    assert found.output.startswith("There is no job nobody.knows_it. Jobs with a schedule:")
    name = found.output.splitlines()[1].strip()
    found = await runs("run", name)
    assert found.exit_code == 0, found.output
    query = "select count(*) from jobs.slots where job = $1 and slot > now() - interval '1 minute'"
    assert await database.fetchval(query, name) == 1


async def test_without_the_right_key_it_says_which_settings(letters, monkeypatch):
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", "x" * 40)
    found = await letters("list")
    assert found.exit_code == 1
    assert "SUPABASE_SERVICE_KEY" in found.output
    assert "x" * 40 not in found.output
