import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import APIRouter
from typer.testing import CliRunner

from cli import app, tables
from cli.tables import BEGIN, END, PAGE, calls, jobs, with_next_slots, with_tables
from kernel.boot.discovery import discover
from kernel.cache import Cached, everyone
from kernel.feature import Feature
from kernel.jobs import cron, daily, every, job, minutes
from kernel.limits import Limit
from kit.slices.shared.things import ThingPublished

SLICE = re.compile(r"\| (?!slice )([a-z_]+) \| ")

router = APIRouter()


@router.get("/words")
async def read_words() -> None: ...


@job(on=ThingPublished)
async def tell() -> None:
    """Tell somebody.

    At length.
    """


@job(schedule=daily("02:05"))
async def sweep() -> None: ...


@job(schedule=every(minutes(10)))
async def look() -> None: ...


@job(schedule=cron("0 2 * * 1-5", tz="Europe/Berlin"))
async def work() -> None: ...


@job(schedule=every(timedelta(hours=36)))
async def rest() -> None: ...


def test_the_page_of_slices_has_each_slice_as_it_is_today():
    # A removed slice leaves its rows until the page is updated; ./app check reports this.
    found = discover()
    lines = PAGE.read_text(encoding="utf-8").splitlines(keepends=True)
    gone = {row for row in lines if (name := SLICE.match(row)) and name[1] not in found}
    text = "".join(line for line in lines if line not in gone)
    assert with_tables(text, calls(found), jobs(found)) == text, "run: ./app features --write"


def test_each_table_stands_between_its_marks():
    text = f"before\n{BEGIN}\nold\n{END}\nbetween\n{BEGIN}{END}\nafter"
    first = [("slice", "call"), ("a", "GET /a")]
    second = [("slice", "job"), ("b", ""), ("c", "do")]
    assert with_tables(text, first, second) == (
        f"before\n{BEGIN}\n| slice | call |\n| --- | --- |\n| a | GET /a |\n{END}\nbetween\n"
        f"{BEGIN}\n| slice | job |\n| --- | --- |\n| b |  |\n| c | do |\n{END}\nafter"
    )


def test_a_page_without_marks_is_left_alone():
    with pytest.raises(ValueError, match="must have the mark"):
        with_tables("no marks", [("slice",)])


def test_each_call_is_a_row():
    _, *rows = calls({"shared": Feature(router=router, caller="ignored", limited=False)})
    assert [row[:5] for row in rows] == [("shared", "GET /api/v1/words", "ignored", "none", "")]


def test_each_job_is_a_row_with_what_it_follows():
    # The folder `shared` replaces a slice here: it has a docstring and is never removed.
    _, *rows = jobs({"shared": Feature(jobs=(tell, sweep, look, work, rest))})
    assert [row[:3] for row in rows] == [
        ("shared", "tell", "ThingPublished"),
        ("shared", "sweep", "daily, 02:05 UTC"),
        ("shared", "look", "every 0:10:00"),
        ("shared", "work", "cron 0 2 * * 1-5 Europe/Berlin"),
        ("shared", "rest", "every 1 day, 12:00:00"),
    ]
    assert {row[3].partition(":")[0] for row in rows} == {"What slices share"}


def test_the_command_shows_the_next_slot_of_each_scheduled_job(monkeypatch):
    slices = {"shared": Feature(jobs=(tell, sweep, look, work))}
    friday = datetime(2026, 1, 2, 12, 5, tzinfo=UTC)
    heading, *rows = with_next_slots(jobs(slices), slices, friday)
    assert heading == ("slice", "job", "follows", "next slot", "what it does")
    assert [row[3] for row in rows] == [
        "",
        "2026-01-03 02:05 UTC",
        "2026-01-02 12:10 UTC",
        "2026-01-05 01:00 UTC",
    ]
    monkeypatch.setattr("kernel.boot.discovery.discover", lambda: slices)
    shown = " ".join(CliRunner().invoke(app, ["features"]).output.split())
    assert re.search(r"daily, 02:05 UTC · next \d{4}-\d\d-\d\d 02:05 UTC", shown)


def test_the_job_of_a_slice_with_a_call_is_described_by_its_own_docstring():
    slices = {"shared": Feature(router=router, jobs=(tell,))}
    call, job = calls(slices)[1], jobs(slices)[1]
    assert call[1] == "GET /api/v1/words"
    assert call[5].startswith("What slices share")
    assert job == ("shared", "tell", "ThingPublished", "Tell somebody")


def test_a_call_shows_where_its_answers_are_kept():
    kept = APIRouter()
    words = Cached("words:{number}", ttl=minutes(1), audience=everyone)

    @kept.get("/words/{number}")
    @words.serves
    async def read(number: int) -> int:
        return number

    _, call = calls({"shared": Feature(router=kept, caller="ignored")})
    assert call[4] == "words:{number}"


def test_a_slice_shows_its_own_limits():
    limits = (Limit("10/minute"), Limit("20/15 minutes", per="account"))
    _, call = calls({"shared": Feature(router=router, limits=limits)})
    assert call[3] == "10/minute an address, 20/15 minutes an account"


def test_the_terminal_shows_each_call_and_job_in_lines_that_fit(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = CliRunner().invoke(app, ["features"])
    assert found.exit_code == 0
    assert max(map(len, found.output.splitlines())) <= 80
    words = " ".join(found.output.split())
    rows = [*calls(features := discover())[1:], *jobs(features)[1:]]
    assert len(rows) > 1
    assert all(f"{row[0]}: " in words and row[1] in words for row in rows)


def test_one_slice_is_shown_alone():
    name, other = sorted(discover())[:2]
    shown = CliRunner().invoke(app, ["features", name]).output
    assert f"{name}: " in shown
    assert f"{other}: " not in shown
    wrong = CliRunner().invoke(app, ["features", f"{name}s"])
    assert wrong.exit_code == 1
    assert f"There is no slice '{name}s'. Did you mean {name}" in wrong.output
    assert CliRunner().invoke(app, ["features", name, "--write"]).exit_code == 1


def test_the_slices_are_also_json():
    found = json.loads(CliRunner().invoke(app, ["features", "--json"]).output)
    rows = calls(discover())[1:]
    assert [(one["slice"], one["call"]) for one in found["calls"]] == [row[:2] for row in rows]
    assert {"slice", "job", "follows", "next_slot", "what_it_does"} == found["jobs"][0].keys()


@pytest.fixture
def page(monkeypatch, tmp_path):
    """A separate copy of the page of slices."""
    page = tmp_path / "SLICES.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(tables, "PAGE", page)
    return page


def test_a_page_that_is_not_up_to_date_is_one_sentence_with_the_remedy(page):
    page.write_text(tables.page(), encoding="utf-8")
    assert CliRunner().invoke(app, ["features", "--check"]).exit_code == 0
    text = page.read_text()
    page.write_text(text.replace(f"{END}", f"| gone_slice | GET /gone |\n{END}", 1))
    found = CliRunner().invoke(app, ["features", "--check"])
    assert found.exit_code == 1
    assert found.output == "docs/SLICES.md is not up to date: run ./app features --write\n"
    page.write_text(tables.page(), encoding="utf-8")
    assert page.read_text() == text
