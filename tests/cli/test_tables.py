from datetime import timedelta
from pathlib import Path

from fastapi import APIRouter

from cli.tables import BEGIN, END, README, table, with_table
from features.shared.posts import PostPublished
from kernel.boot.discovery import discover
from kernel.cache import Cached, everyone
from kernel.feature import Feature
from kernel.jobs import daily, every, job, minutes
from kernel.limits import Limit

router = APIRouter()


@router.get("/words")
async def read_words() -> None: ...


@job(on=PostPublished)
async def tell() -> None:
    """Tell somebody.

    At length.
    """


@job(schedule=daily("02:05"))
async def sweep() -> None: ...


@job(schedule=every(minutes(10)))
async def look() -> None: ...


@job(schedule=every(timedelta(hours=36)))
async def rest() -> None: ...


def test_the_readme_has_the_table_of_today():
    text = Path(README).read_text(encoding="utf-8")
    assert with_table(text, table(discover())) == text, "run: ./app features --write"


def test_the_table_stands_between_its_marks():
    text = f"before\n{BEGIN}\nold\n{END}\nafter"
    rows = [("slice", "call", "what it does"), ("a", "GET /a", "Read a"), ("b", "", "Do b")]
    assert with_table(text, rows) == (
        f"before\n{BEGIN}\n| slice | call | what it does |\n| --- | --- | --- |\n"
        f"| a | GET /a | Read a |\n| b |  | Do b |\n{END}\nafter"
    )


def test_each_call_is_a_row():
    rows = table(discover())
    wanted = ("health", "GET /api/v1/health/liveness", "ignored", "none", "", "")
    assert wanted in [row[:6] for row in rows]


def test_each_job_is_a_row_with_what_it_follows():
    # The folder `shared` stands in for a slice: it has a docstring and is never removed.
    _, *rows = table({"shared": Feature(jobs=(tell, sweep, look, rest))})
    assert [row[:7] for row in rows] == [
        ("shared", "", "", "", "", "tell", "PostPublished"),
        ("shared", "", "", "", "", "sweep", "daily, 02:05 UTC"),
        ("shared", "", "", "", "", "look", "every 0:10:00"),
        ("shared", "", "", "", "", "rest", "every 1 day, 12:00:00"),
    ]
    assert {row[7].partition(":")[0] for row in rows} == {"The words that slices share"}


def test_the_job_of_a_slice_that_is_called_says_what_else_happens():
    _, call, follower = table({"shared": Feature(router=router, jobs=(tell,))})
    assert call[1] == "GET /api/v1/words"
    assert call[7].startswith("The words that slices share")
    assert follower[1:] == ("", "", "", "", "tell", "PostPublished", "Tell somebody")


def test_a_call_shows_where_its_answers_are_kept():
    kept = APIRouter()
    words = Cached("words:{number}", ttl=minutes(1), audience=everyone)

    @kept.get("/words/{number}")
    @words.serves
    async def read(number: int) -> int:
        return number

    _, call = table({"shared": Feature(router=kept, caller="ignored")})
    assert call[4] == "words:{number}"


def test_a_slice_shows_its_own_limits():
    limits = (Limit("10/minute"), Limit("20/15 minutes", per="account"))
    _, call = table({"shared": Feature(router=router, limits=limits)})
    assert call[3] == "10/minute an address, 20/15 minutes an account"
