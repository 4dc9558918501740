"""Everything for routes: envelopes, fields, services, the call, and the list of errors."""

from kernel.core.caller import ANONYMOUS, Caller
from kernel.web.call import Call
from kernel.web.constant_time import ConstantTimeDelay
from kernel.web.envelopes import Answer, Page
from kernel.web.fields import Body, Email, Line, MailedToken, NewPassword, Password, Text
from kernel.web.routing import PREFIX, Services, raises

__all__ = [
    "ANONYMOUS",
    "PREFIX",
    "Answer",
    "Body",
    "Call",
    "Caller",
    "ConstantTimeDelay",
    "Email",
    "Line",
    "MailedToken",
    "NewPassword",
    "Page",
    "Password",
    "Services",
    "Text",
    "raises",
]
