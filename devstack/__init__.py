"""The local stack: PostgreSQL, two Valkey servers, a Supabase-compatible gateway and a mail inbox.

For development and tests only; it refuses to run with APP_ENV=production. This face runs it;
`devstack.testing` is the other one, with parts for tests. Code outside imports nothing deeper.
"""

from devstack.debugger import Terminal
from devstack.errors import StackError
from devstack.folder import StackFolder
from devstack.layout import PYTHON, StackLayout
from devstack.programs import Program
from devstack.readiness import http_answers
from devstack.settings import read_settings
from devstack.stack import StackOptions, up

__all__ = [
    "PYTHON",
    "Program",
    "StackError",
    "StackFolder",
    "StackLayout",
    "StackOptions",
    "Terminal",
    "http_answers",
    "read_settings",
    "up",
]
