import pytest

WRONG = ["page=0", "page=1000000000000000000", "page_size=0", "page_size=101", "state=perhaps"]
RUN = """
insert into jobs.runs (id, job, event_id, item, state, queued_at, finished_at)
values (gen_random_uuid(), $1, 0, 0, $2, now() - make_interval(secs => $3),
  case when $2 in ('succeeded', 'failed') then now() end)
"""
STATES = ("queued", "running", "succeeded", "failed")


@pytest.fixture
async def some_runs(own_stack):
    """Stores runs in each state: a.7 is the oldest, a.0 the newest."""
    for number in range(8):
        run = (f"a.{number}", STATES[number % 4], float(number))
        await own_stack.sql.execute(RUN, *run)


def jobs(page):
    return [one["job"] for one in page["data"]]


async def test_only_an_admin_may_call(own_stack, own_client_for, own_admin):
    async with own_client_for() as anyone:
        assert (await anyone.get("/runs")).status_code == 401
    _, token = await own_stack.sign_up()
    async with own_client_for(token) as own_user:
        assert (await own_user.get("/runs")).status_code == 403
    assert (await own_admin.get("/runs")).status_code == 200


@pytest.mark.usefixtures("some_runs")
async def test_pages_of_all_states_have_the_newest_first(own_admin):
    pages = [
        (await own_admin.get(f"/runs?page_size=3&page={page}")).json() for page in (1, 2, 3, 4)
    ]
    assert [jobs(page) for page in pages] == [
        ["a.0", "a.1", "a.2"],
        ["a.3", "a.4", "a.5"],
        ["a.6", "a.7"],
        [],
    ]
    assert {page["total"] for page in pages} == {8}
    assert [page["has_next"] for page in pages] == [True, True, False, False]


@pytest.mark.usefixtures("some_runs")
@pytest.mark.parametrize(
    ("state", "found"), [("queued", ["a.0", "a.4"]), ("failed", ["a.3", "a.7"])]
)
async def test_a_page_of_one_state_has_only_these(own_admin, state, found):
    page = (await own_admin.get(f"/runs?state={state}")).json()
    assert (jobs(page), page["total"]) == (found, 2)
    assert {one["state"] for one in page["data"]} == {state}


async def test_a_long_history_is_read_by_an_index_and_bounded(own_stack, own_admin):
    await own_stack.sql.execute(
        "insert into jobs.runs (id, job, event_id, item, state, finished_at, queued_at) "
        "select gen_random_uuid(), 'a.job', 0, n, 'succeeded', now(), "
        "now() - n * interval '1 s' from generate_series(1, 10050) n"
    )
    page = (await own_admin.get("/runs?page=100&page_size=100")).json()
    assert (len(page["data"]), page["total"], page["has_next"]) == (100, 10_000, False)
    page = (await own_admin.get("/runs?page=101&page_size=100")).json()
    assert (page["data"], page["total"]) == ([], 10_000)


@pytest.mark.parametrize("query", WRONG)
async def test_wrong_input_is_422_without_echo(own_admin, query):
    answer = await own_admin.get(f"/runs?{query}")
    assert answer.status_code == 422
    assert "perhaps" not in answer.text


async def test_a12_past_the_api_a_user_sees_none(attacker, database):
    await database.execute(RUN, "a.job", "queued", 0.0)
    body = {"page": 1, "page_size": 100}
    answer = await attacker.post("/rest/v1/rpc/list_runs", json=body)
    assert answer.json() == {"runs": [], "total": 0}
    await database.execute("delete from jobs.runs where job = 'a.job'")
