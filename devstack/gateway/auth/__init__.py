"""Supabase Auth (GoTrue) on the tables of the schema auth: e-mail, password, and mails."""

from devstack.gateway.auth.app import AuthServer

__all__ = ["AuthServer"]
