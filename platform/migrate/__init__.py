"""Applies supabase/migrations to a database: for `./app migrate` and for the local stack."""

from migrate.migrations import MigrationError, migrate, split_statements

__all__ = ["MigrationError", "migrate", "split_statements"]
