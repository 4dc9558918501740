"""`./app dead-letters …` and `./app jobs …`: runs of jobs, and what failed, for operators."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NoReturn
from uuid import UUID, uuid4

import typer

from cli.operators import no_answer, settings_or_stack
from cli.text import columns, one_line

if TYPE_CHECKING:  # imported when needed: keeps ./app --help fast
    from kernel.supabase import AsService

LetterState = Literal["waiting", "replayed", "discarded"]
RunState = Literal["queued", "running", "succeeded", "failed"]
Letter = Annotated[UUID, typer.Argument(help="The id of the dead letter: that of its run.")]
RunId = Annotated[UUID, typer.Argument(help="The id of the run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Page = Annotated[int, typer.Option(min=1, max=500, help="Which page of 20; the newest is on 1.")]

_SIZE: Final = 20
_SHOWN: Final = 70  # characters of an error in a table
_LETTERS: Final = ("id", "job", "last_at", "attempts", "error")
_RUNS: Final = ("id", "job", "state", "queued_at", "attempts", "error")
_WHY_NOT: Final = {
    "unknown": "There is no dead letter {id}. See: ./app dead-letters list",
    "settled": "The dead letter {id} was replayed or discarded before.",
    "unreadable": "No worker can read the message {id}, so it cannot be replayed. Discard it.",
    "gone": "The event of {id} is archived, so its job cannot run. Discard it.",
}


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    letters = typer.Typer(no_args_is_help=True, help="List, replay or discard jobs that failed.")
    letters.command("list")(list_letters)
    letters.command("show")(show_letter)
    letters.command("replay")(replay)
    letters.command("discard")(discard)
    runs = typer.Typer(
        no_args_is_help=True, help="List runs of jobs, retry one, or start a scheduled job."
    )
    runs.command("list")(list_runs)
    runs.command("show")(show_run)
    runs.command("retry")(retry)
    runs.command("run")(run)
    app.add_typer(letters, name="dead-letters")
    app.add_typer(runs, name="jobs")


def list_letters(
    *, state: LetterState = "waiting", page: Page = 1, as_json: AsJson = False
) -> None:
    """List the dead letters in a state, the last failed first."""
    found = _ask("list_dead_letters", state=state, page=page, page_size=_SIZE)
    _print_page(found["dead_letters"], found["total"], _LETTERS, page, as_json=as_json)


def show_letter(letter: Letter, *, as_json: AsJson = False) -> None:
    """Show a dead letter: its job, ids, error and times."""
    found = _ask("dead_letter", letter=str(letter))
    if found is None:
        _fail(_WHY_NOT["unknown"].format(id=letter))
    _print_one(found, as_json=as_json)


def replay(letters: Annotated[list[UUID], typer.Argument(help="Their ids.")]) -> None:
    """Run the jobs of dead letters again, once each.

    Correct the cause first.
    """
    for letter in letters:
        _settle(letter, "replay_dead_letter", "dead_letter_replayed")
        typer.echo(f"{letter} runs again as soon as a relay and a worker are there.")


def discard(letters: Annotated[list[UUID], typer.Argument(help="Their ids.")]) -> None:
    """Settle dead letters without running them again.

    They are kept for 90 days.
    """
    for letter in letters:
        _settle(letter, "discard_dead_letter", "dead_letter_discarded")
        typer.echo(f"{letter} is discarded.")


def list_runs(*, state: RunState | None = None, page: Page = 1, as_json: AsJson = False) -> None:
    """List runs of jobs, the last queued first."""
    found = _ask("list_runs", state=state, page=page, page_size=_SIZE)
    _print_page(found["runs"], found["total"], _RUNS, page, as_json=as_json)


def show_run(run_id: RunId, *, as_json: AsJson = False) -> None:
    """Show a run: its state, attempts, error and times."""
    _print_one(_run(run_id), as_json=as_json)


def retry(run_id: RunId) -> None:
    """Run a failed run again, with all its attempts.

    This is the same as ./app dead-letters replay.
    """
    state = _run(run_id)["state"]
    if state != "failed":
        _fail(f"The run {run_id} is {state}: only a failed one can be run again.")
    replay([run_id])


def run(
    name: Annotated[str, typer.Argument(help="A job with a schedule: clean_up_daily.clean_up.")],
) -> None:
    """Run a job that has a schedule now, once, besides its schedule."""
    from kernel.boot.discovery import discover
    from kernel.jobs.table import JobTable

    jobs = JobTable.of(discover())
    job = jobs.by_name.get(name)
    if job is None or job.schedule is None:
        names = "\n".join(f"  {one.name}" for one in jobs.scheduled)
        if job is None:
            _fail(f"There is no job {name}. Jobs with a schedule:\n{names}")
        _fail(f"{name} follows {job.on.__name__} and has no schedule. Those with one:\n{names}")
    now = datetime.now(UTC)
    if not _ask("put_slot", job=name, slot=now.isoformat()):
        _fail(f"{name} has a slot that is later than {now.isoformat()}: is this clock right?")
    typer.echo(f"{name} runs as soon as a relay and a worker are there. See: ./app jobs list")


def _run(run_id: UUID) -> dict[str, Any]:
    found: dict[str, Any] | None = _ask("shown_run", run_id=str(run_id))
    if found is None:
        _fail(f"There is no run {run_id}. See: ./app jobs list")
    return found


def _settle(letter: UUID, function: str, action: str) -> None:
    """Replay or discard a dead letter, with an entry in the audit log; a refusal ends it here."""

    async def settle(db: "AsService") -> str:
        from kernel.identity.audit import Audit
        from kernel.web.call import Call

        outcome = str(await db.rpc(function, letter=str(letter)))
        if outcome not in _WHY_NOT:
            audit = Audit(db, Call(request_id=uuid4().hex, client_address=None))
            await audit(action, dead_letter_id=str(letter))
        return outcome

    outcome = _with_database(settle)
    if outcome in _WHY_NOT:
        _fail(_WHY_NOT[outcome].format(id=letter))


def _ask(function: str, **arguments: object) -> Any:
    """Call a function of the database as the service."""

    async def ask(db: "AsService") -> Any:
        return await db.rpc(function, **arguments)

    return _with_database(ask)


def _with_database(work: Any) -> Any:
    """Return what `work` returns; a failure is one sentence and exit code 1."""
    from postgrest import APIError

    from kernel.errors import ApiError
    from kernel.supabase import AsService, SupabaseHttp

    settings = settings_or_stack()

    async def main() -> Any:
        async with SupabaseHttp(settings) as http:
            return await work(AsService(http))

    try:
        return asyncio.run(main())
    except (APIError, ApiError) as error:
        _fail(no_answer(settings, error.code))


def _print_page(
    rows: Sequence[Mapping[str, Any]],
    total: int,
    names: tuple[str, ...],
    page: int,
    *,
    as_json: bool,
) -> None:
    if as_json:
        typer.echo(json.dumps({"data": rows, "page": page, "total": total}, indent=2))
        return
    if rows:
        typer.echo(columns([names, *(tuple(_cell(row[name]) for name in names) for row in rows)]))
    typer.echo(f"{len(rows)} of {total}" + (f", page {page}" if page > 1 else ""))


def _print_one(row: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(row, indent=2))
        return
    shown = [(name, _plain(value)) for name, value in row.items() if value is not None]
    typer.echo(columns(shown))


def _cell(value: object) -> str:
    text = _plain(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _plain(value: object) -> str:
    if value is None:
        return "-"
    return one_line(value if isinstance(value, str) else json.dumps(value))


def _fail(problem: str) -> NoReturn:
    typer.echo(problem, err=True)
    raise typer.Exit(1)
