"""Everything for routes: envelopes, services, the caller, and the list of errors."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import svcs
from fastapi import Depends, Request

from kernel.core.caller import Caller
from kernel.errors import ApiError
from kernel.web.call import Call, call_of
from kernel.web.envelopes import Answer, Failure, Page

PREFIX: Final = "/api/v1"


__all__ = ["Answer", "Page", "Services", "raises"]


async def _services(request: Request) -> AsyncIterator[svcs.Container]:
    call = call_of(request.scope)
    async with svcs.Container(request.app.state.services) as container:
        container.register_local_value(Call, call)
        container.register_local_value(Caller, call.caller)
        yield container


Services = Annotated[svcs.Container, Depends(_services)]
"""The services of this request: `await services.aget(AsCaller)`; closed at its end."""


def raises(*errors: type[ApiError]) -> dict[int | str, dict[str, Any]]:
    """Return `responses` for OpenAPI from a route's errors: `responses=raises(PostNotFound)`."""
    responses: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        known = responses.setdefault(
            error.status,
            {
                "model": Failure,
                "description": "",
                "content": {"application/json": {"examples": {}}},
            },
        )
        known["description"] = " ".join(filter(None, [known["description"], error.message]))
        known["content"]["application/json"]["examples"][error.code] = {
            "value": {
                "success": False,
                "error": {
                    "code": error.code,
                    "message": error.message,
                    "details": {"request_id": "0f8fad5bd9cb469fa16570867728950e"},
                },
            }
        }
    return responses
