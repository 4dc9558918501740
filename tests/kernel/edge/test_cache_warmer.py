"""A failure of the cache warmer never breaks the call that uses it."""

import pytest
import svcs
from fastapi import APIRouter

from kernel import Feature
from kernel.boot.app import create_app
from kernel.cache import Cached, CacheWarmer, minutes, one_caller
from kernel.errors import Unavailable
from kernel.web.routing import Answer
from kit.application import running


@pytest.mark.parametrize("error", [None, RuntimeError("hidden"), Unavailable()])
async def test_a_read_that_fails_is_not_filled_and_harms_nobody(
    own_settings, author, valkey, error
):
    router = APIRouter()

    @router.get("/own")
    @Cached("own:{user_id}", ttl=minutes(1), audience=one_caller).serves
    async def own() -> Answer[str]:
        if error is not None:
            raise error
        return Answer("mine")

    app = create_app(own_settings, {"own": Feature(router=router)})
    async with running(app), svcs.Container(app.state.services) as services:
        await (await services.aget(CacheWarmer)).warm(author.token)
    assert len(valkey.client.keys("cache:*")) == (error is None)
