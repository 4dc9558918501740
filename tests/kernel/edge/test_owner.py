"""`Feature(owner=…)`: a path parameter that must be the caller's own id."""

from uuid import UUID, uuid4

import pytest
from fastapi import APIRouter

from cli.tables import calls
from kernel import Feature
from kernel.boot.app import create_app
from kernel.web.routing import Answer
from kit.application import running


def small(path="/things/{user_id}/name", **options):
    router = APIRouter()

    @router.put(path)
    async def change(user_id: UUID) -> Answer[str]:
        return Answer(str(user_id))

    return {"small": Feature(router=router, **options)}


async def statuses(settings, features, person, *user_ids):
    async with running(create_app(settings, features)) as client_for:
        async with client_for(person.token) as client:
            calls = [await client.put(f"/things/{user_id}/name") for user_id in user_ids]
        async with client_for() as client:
            assert (await client.put(f"/things/{person.id}/name")).status_code == 401
    return [call.status_code for call in calls]


async def test_the_owner_alone_is_let_in(settings, author, admin):
    ids = (author.id, str(author.id).upper(), uuid4(), "nobody", "%20", admin.id)
    expected = [200, 200, 403, 403, 403, 403]
    assert await statuses(settings, small(owner="user_id"), author, *ids) == expected
    assert await statuses(settings, small(owner="user_id"), admin, author.id) == [403]


async def test_a_role_beside_the_owner_is_enough(settings, author, admin):
    features = small(owner="user_id", role="admin")
    assert await statuses(settings, features, author, author.id, admin.id) == [200, 403]
    assert await statuses(settings, features, admin, author.id, "nobody") == [200, 422]


def test_the_document_says_that_it_may_be_403(settings):
    document = create_app(settings, small(owner="user_id")).openapi()
    assert "403" in document["paths"]["/api/v1/things/{user_id}/name"]["put"]["responses"]


@pytest.mark.parametrize(
    "options", [{"caller": "optional"}, {"caller": "ignored"}, {"path": "/things/{other_id}"}]
)
def test_an_owner_who_cannot_be_known_stops_the_start(options):
    with pytest.raises(ValueError, match="owner"):
        small(owner="user_id", **options)


@pytest.mark.parametrize(
    ("options", "shown"), [({}, "owner"), ({"role": "admin"}, "owner or admin")]
)
def test_the_table_of_slices_names_the_owner(options, shown):
    # The folder `shared` replaces a slice here: it has a docstring and is never removed.
    features = {"shared": small(owner="user_id", **options)["small"]}
    assert [row[2] for row in calls(features)[1:]] == [shown]
