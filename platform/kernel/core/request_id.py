"""The id of the current request, for log lines and for calls to Supabase."""

from contextvars import ContextVar

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
