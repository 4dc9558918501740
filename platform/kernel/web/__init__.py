"""Everything for routes: envelopes, fields, services, the call, and the list of errors."""

from kernel.core.caller import ANONYMOUS, Caller
from kernel.live import LiveClient, LiveClients, LiveUnavailable, TooManySockets, TopicNotFound
from kernel.web.call import Call
from kernel.web.constant_time import ConstantTimeDelay
from kernel.web.cursor_pages import LINKS, CursorPage, CursorPaging, Cursors, InvalidCursor
from kernel.web.fields import Body, Email, Line, MailedToken, NewPassword, Password, Text, invalid
from kernel.web.live_socket import LiveSocket, Socket
from kernel.web.precondition import Precondition
from kernel.web.routing import LOCATION, PREFIX, Answer, Page, raises
from kernel.web.services import Services

__all__ = [
    "ANONYMOUS",
    "LINKS",
    "LOCATION",
    "PREFIX",
    "Answer",
    "Body",
    "Call",
    "Caller",
    "ConstantTimeDelay",
    "CursorPage",
    "CursorPaging",
    "Cursors",
    "Email",
    "InvalidCursor",
    "Line",
    "LiveClient",
    "LiveClients",
    "LiveSocket",
    "LiveUnavailable",
    "MailedToken",
    "NewPassword",
    "Page",
    "Password",
    "Precondition",
    "Services",
    "Socket",
    "Text",
    "TooManySockets",
    "TopicNotFound",
    "invalid",
    "raises",
]
