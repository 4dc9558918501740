"""The inbox over HTTP: its page, and Mailpit's API."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from devstack.inbox import mailpit, page
from devstack.inbox.mailbox import Mailbox

# Mails have links that sign users in. A web page must not read them through a host name that
# resolves to this machine (DNS rebinding).
_HOSTS = ["127.0.0.1", "localhost"]


def create_app(mailbox: Mailbox) -> Starlette:
    """Return the inbox of this mailbox."""
    return Starlette(
        routes=[Route("/readyz", _ready), *mailpit.routes(mailbox), *page.routes(mailbox)],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS)],
    )


async def _ready(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")
