import pytest

from features.shared.users import UserChanged
from kernel.boot.app import create_app
from kit.announced import announced
from kit.application import running
from kit.conditional import etag_of, minds_conditions
from kit.people import new_email

pytestmark = pytest.mark.usefixtures("relay_rests")

WRONG = [
    {},
    {"email": None},
    {"current_password": "correct horse 9"},
    {"display_name": "Ada", "current_password": ""},
    {"email": "no address"},
    {"email": 7},
    {"display_name": ""},
    {"display_name": "  "},
    {"display_name": "x" * 81},
    {"display_name": "a\x00b"},
    {"display_name": "two\nlines"},
    {"display_name": "Ada", "id": "11111111-1111-4111-8111-111111111111"},
    {"display_name": "Ada", "role": "admin"},
    {"display_name": "Ada", "app_metadata": {"role": "admin"}},
    {"display_name": "Ada", "email_confirmed_at": "2000-01-01T00:00:00Z"},
    ["not", "an", "object"],
]
PENDING = """
select email from identity.mail_requests where user_id = $1 and purpose = 'email_change'
order by requested_at desc limit 1
"""


async def test_only_the_owner_may_call(anonymous, author, stranger, admin):
    body = {"display_name": "Ada"}
    assert (await anonymous.put(f"/users/{author.id}", json=body)).status_code == 401
    for other in (stranger, admin):
        answer = await other.put(f"/users/{author.id}", json=body)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "FORBIDDEN"
    assert (await author.put(f"/users/{author.id}", json=body)).status_code == 200


@pytest.mark.parametrize("content", [b"{", b"{}", b'{"role": "admin"}'])
async def test_who_may_call_is_decided_before_the_body_is_looked_at(
    anonymous, author, stranger, content
):
    headers = {"content-type": "application/json"}
    for client, status in ((anonymous, 401), (stranger, 403), (author, 422)):
        answer = await client.put(f"/users/{author.id}", content=content, headers=headers)
        assert answer.status_code == status


async def test_a_new_name_shows_everywhere(author, stranger, supabase):
    answer = await author.put(f"/users/{author.id}", json={"display_name": " Ada L. "})
    assert answer.json()["data"]["display_name"] == "Ada L."
    assert answer.headers["cache-control"] == "no-store"
    assert (await author.get("/whoami/stored")).json()["data"] == answer.json()["data"]
    found = await supabase.post(
        "/rest/v1/rpc/profile",
        json={"user_id": str(author.id)},
        headers={"Authorization": f"Bearer {stranger.token}"},
    )
    assert found.json()[0]["display_name"] == "Ada L."


async def test_reads_of_the_user_are_dropped_before_the_answer(settings, valkey, author, stranger):
    async with announced(settings, valkey, UserChanged, "user_id") as (client_for, dropped):
        body = {"display_name": "Ada L."}
        async with client_for(stranger.token) as client:
            assert (await client.put(f"/users/{author.id}", json=body)).status_code == 403
        assert dropped() == set()
        async with client_for(author.token) as client:
            assert (await client.put(f"/users/{author.id}", json=body)).status_code == 200
        assert dropped() == {str(author.id)}


async def test_null_takes_the_name_away(author):
    answer = await author.put(f"/users/{author.id}", json={"display_name": None})
    assert answer.json()["data"]["display_name"] is None
    assert (await author.get("/whoami/stored")).json()["data"]["display_name"] is None


async def test_a_new_address_waits_for_its_confirmation(author, database):
    email = new_email()
    body = {"email": email.upper(), "display_name": "Ada"}
    answer = await author.put(f"/users/{author.id}", json=body)
    assert answer.status_code == 200
    assert answer.json()["data"]["email"] == author.email
    assert answer.json()["data"]["display_name"] == "Ada"
    assert await database.fetchval(PENDING, author.id) == email
    events = "select items::text from outbox.events where topic = 'email_change_requested'"
    assert email not in str(await database.fetch(events))


async def test_s4_an_old_login_needs_the_password_for_an_address(author, long_ago, database):
    url, email = f"/users/{author.id}", new_email()
    async with long_ago(author) as old:
        for fields in ({}, {"display_name": "Eve"}, {"current_password": "wrong horse 9"}):
            answer = await old.put(url, json={"email": email, **fields})
            assert answer.status_code == 403
            assert answer.json()["error"]["code"] == "REAUTHENTICATION_REQUIRED"
        me = (await old.get("/whoami/stored")).json()["data"]
        assert me["display_name"] == author.display_name
        assert await database.fetchval(PENDING, author.id) is None
        body = {"email": email, "current_password": author.password}
        assert (await old.put(url, json=body)).status_code == 200
    assert await database.fetchval(PENDING, author.id) == email


async def test_a_new_display_name_never_needs_the_password(author, long_ago):
    async with long_ago(author, minutes=3 * 24 * 60) as old:
        answer = await old.put(f"/users/{author.id}", json={"display_name": "Ada"})
    assert answer.json()["data"]["display_name"] == "Ada"


async def test_a_wrong_password_is_refused_also_after_a_fresh_login(author, database):
    body = {"email": new_email(), "current_password": "wrong horse 9"}
    assert (await author.put(f"/users/{author.id}", json=body)).status_code == 403
    assert await database.fetchval(PENDING, author.id) is None


async def test_the_sixth_address_within_an_hour_is_429(author):
    for _ in range(5):
        answer = await author.put(f"/users/{author.id}", json={"email": new_email()})
        assert answer.status_code == 200
    answer = await author.put(f"/users/{author.id}", json={"email": new_email()})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_the_own_address_in_other_letters_changes_nothing(author, database):
    answer = await author.put(f"/users/{author.id}", json={"email": author.email.upper()})
    assert answer.status_code == 200
    assert answer.json()["data"]["email"] == author.email
    assert not await database.fetchval(PENDING, author.id)
    assert not await _audited(database, author)


async def test_a_taken_address_is_409_in_any_case_and_changes_nothing(author, stranger):
    body = {"email": stranger.email.upper(), "display_name": "Ada"}
    answer = await author.put(f"/users/{author.id}", json=body)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "EMAIL_TAKEN"
    assert (await author.get("/whoami/stored")).json()["data"][
        "display_name"
    ] == author.display_name


async def test_the_audit_log_has_the_request_without_the_address(author, database):
    email = new_email()
    await author.put(f"/users/{author.id}", json={"email": email})
    (entry,) = await _audited(database, author)
    assert entry["actor_id"] == author.id
    assert email not in str(entry)


@pytest.fixture
async def refused_name(database):
    """A name that the database refuses, so that this half of a change fails."""
    check = "add constraint refused_name check (display_name <> 'Refused') not valid"
    await database.execute(f"alter table public.profiles {check}")
    yield "Refused"
    await database.execute("alter table public.profiles drop constraint refused_name")


async def test_half_a_change_says_which_half(author, refused_name, database):
    email = new_email()
    body = {"email": email, "display_name": refused_name}
    answer = await author.put(f"/users/{author.id}", json=body)
    assert answer.status_code == 503
    error = answer.json()["error"]
    assert error["code"] == "PARTIAL_UPDATE"
    assert error["details"]["changed"] == ["email"]
    assert error["details"]["failed"] == ["display_name"]
    assert "retry-after" not in answer.headers  # O13: a retry would repeat the first half
    assert await database.fetchval(PENDING, author.id) == email
    assert refused_name not in answer.text


async def test_supabase_being_away_is_503_and_changes_nothing(author, settings):
    away = settings.model_copy(update={"supabase_url": "http://127.0.0.1:9"})
    async with running(create_app(away)) as client_for, client_for(author.token) as client:
        body = {"email": new_email(), "display_name": "Ada"}
        answer = await client.put(f"/users/{author.id}", json=body)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "SUPABASE_UNAVAILABLE"
    assert (await author.get("/whoami/stored")).json()["data"][
        "display_name"
    ] == author.display_name


async def test_a_change_of_one_half_alone_fails_as_such(author, refused_name):
    answer = await author.put(f"/users/{author.id}", json={"display_name": refused_name})
    assert answer.status_code == 422


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo(author, body):
    answer = await author.put(f"/users/{author.id}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert "admin" not in answer.text
    assert "no address" not in answer.text
    assert (await author.get("/whoami/stored")).json()["data"][
        "display_name"
    ] == author.display_name


async def test_a_deleted_user_is_401(author, database):
    await database.execute("delete from auth.users where id = $1", author.id)
    answer = await author.put(f"/users/{author.id}", json={"display_name": "Ada"})
    assert answer.status_code == 401


async def name_of(person):
    return (await person.get("/whoami/stored")).json()["data"]["display_name"]


async def _audited(database, person):
    query = "select * from audit.entries where user_id = $1 and action = 'email_change_requested'"
    return await database.fetch(query, person.id)


async def test_conditions_hold_or_nothing_changes(author, database):
    url = f"/users/{author.id}"
    etag = await etag_of(author, url)

    async def unchanged():
        query = "select display_name from public.profiles where id = $1"
        assert await database.fetchval(query, author.id) == author.display_name

    await minds_conditions(
        lambda headers: author.put(url, json={"display_name": "Ada"}, headers=headers),
        etag,
        unchanged=unchanged,
    )
