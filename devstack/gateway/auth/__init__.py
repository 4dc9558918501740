"""Supabase Auth (GoTrue) on the tables of the schema auth: e-mail and password, and their mails."""

from devstack.gateway.auth.app import AuthServer

__all__ = ["AuthServer"]
