import pytest

from features import APP_NAME
from features.shared.settings import SettingsChanged
from kernel.boot.app import create_app
from kit.announced import announced
from kit.application import running
from kit.conditional import etag_of, minds_conditions

FIRST = {"site_name": APP_NAME, "announcement": None, "signups_open": True}
WRONG = [
    {},
    {"site_name": ""},
    {"site_name": "  "},
    {"site_name": "x" * 81},
    {"site_name": "two\nlines"},
    {"site_name": "a\x00b"},
    {"site_name": None},
    {"site_name": 7},
    {"announcement": ""},
    {"announcement": "x" * 501},
    {"announcement": "a\x00b"},
    {"announcement": 7},
    {"signups_open": None},
    {"signups_open": 0},
    {"signups_open": "perhaps"},
    {"site_name": "Salon", "id": "other"},
    {"site_name": "Salon", "settings_id": "other"},
    ["not", "an", "object"],
]


@pytest.fixture
async def client_for(own_stack):
    """Makes clients of an application with a separate database: the settings are one row."""
    async with running(create_app(own_stack.settings)) as client_for:
        yield client_for


@pytest.fixture
async def anyone(client_for):
    async with client_for() as client:
        yield client


@pytest.fixture
def stored(own_stack):
    """Reads the settings as they are stored."""

    async def read():
        columns = ", ".join(FIRST)
        return dict(await own_stack.sql.fetchrow(f"select {columns} from public.settings"))

    return read


@pytest.fixture
async def user(own_stack, client_for):
    _, token = await own_stack.sign_up()
    async with client_for(token) as client:
        yield client


@pytest.fixture
async def admin_token(own_stack):
    _, token = await own_stack.sign_up("admin")
    return token


@pytest.fixture
async def admin(admin_token, client_for):
    async with client_for(admin_token) as client:
        yield client


async def test_only_an_admin_may_call(anyone, user, admin, stored):
    body = {"site_name": "Salon"}
    assert (await anyone.put("/settings", json=body)).status_code == 401
    answer = await user.put("/settings", json=body)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "FORBIDDEN"
    assert await stored() == FIRST
    assert (await admin.put("/settings", json=body)).status_code == 200


@pytest.mark.parametrize("content", [b"{", b"{}", b'{"id": "other"}'])
async def test_who_may_call_is_decided_before_the_body_is_looked_at(anyone, user, admin, content):
    headers = {"content-type": "application/json"}
    for client, status in ((anyone, 401), (user, 403), (admin, 422)):
        answer = await client.put("/settings", content=content, headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize(
    "change",
    [
        {"site_name": "Salon"},
        {"announcement": "Closed today,\nopen tomorrow."},
        {"signups_open": False},
        {"site_name": "S" * 80, "announcement": "A" * 500, "signups_open": False},
    ],
    ids=", ".join,
)
async def test_what_is_sent_changes_and_the_rest_stays(admin, stored, change):
    answer = await admin.put("/settings", json=change)
    assert answer.json()["data"] == FIRST | change
    assert answer.headers["cache-control"] == "no-store"
    assert await stored() == FIRST | change


async def test_a_name_has_no_blanks_around_it(admin):
    answer = await admin.put("/settings", json={"site_name": " Salon "})
    assert answer.json()["data"]["site_name"] == "Salon"


async def test_null_takes_the_announcement_away(admin, stored):
    await admin.put("/settings", json={"announcement": "Closed today"})
    answer = await admin.put("/settings", json={"announcement": None})
    assert answer.json()["data"] == FIRST
    assert await stored() == FIRST


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo_and_changes_nothing(admin, stored, body):
    answer = await admin.put("/settings", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert "perhaps" not in answer.text
    assert "other" not in answer.text
    assert await stored() == FIRST


async def test_reads_of_them_are_dropped_before_the_answer(own_stack, valkey, admin_token):
    body = {"site_name": "Salon"}
    async with announced(own_stack.settings, valkey, SettingsChanged, "settings_id") as (
        client_for,
        dropped,
    ):
        async with client_for() as client:
            assert (await client.put("/settings", json=body)).status_code == 401
        assert dropped() == set()
        async with client_for(admin_token) as client:
            assert (await client.put("/settings", json=body)).status_code == 200
        assert dropped() == {"global"}


async def test_each_change_is_an_event_that_names_the_row(own_stack, admin):
    await own_stack.forget()
    answer = await admin.put("/settings", json={"site_name": "Salon"})
    (event,) = await own_stack.events()
    assert (event["topic"], event["items"]) == ("settings_changed", [{"settings_id": "global"}])
    assert event["request_id"] == answer.headers["x-request-id"]


async def test_the_document_says_what_may_be_left_out_and_what_may_be_null(own_stack):
    document = create_app(own_stack.settings).openapi()
    schema = document["components"]["schemas"]["SettingsChanges"]
    assert "required" not in schema
    assert schema["minProperties"] == 1
    assert not any("default" in field for field in schema["properties"].values())
    nullable = [name for name, field in schema["properties"].items() if "anyOf" in field]
    assert nullable == ["announcement"]


async def test_the_audit_log_says_who_changed_what(own_stack, admin):
    body = {"signups_open": True, "site_name": "A secret plan"}
    answer = await admin.put("/settings", json=body)
    query = "select * from audit.entries where action = 'settings_changed' and request_id = $1"
    (entry,) = await own_stack.sql.fetch(query, answer.headers["x-request-id"])
    assert entry["actor_id"] is not None
    assert entry["details"] == {"fields": "signups_open, site_name"}


async def test_conditions_hold_or_nothing_changes(admin, stored):
    etag = await etag_of(admin, "/settings")

    async def unchanged():
        assert await stored() == FIRST

    change = {"site_name": "Salon"}
    await minds_conditions(
        lambda headers: admin.put("/settings", json=change, headers=headers),
        etag,
        unchanged=unchanged,
    )
    assert await stored() == FIRST | change
