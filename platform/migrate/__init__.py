"""Applies supabase/migrations to a database: for `./app migrate` and for the local stack."""

from migrate.migrations import HistoryError, MigrationError, migrate, split_statements

__all__ = ["HistoryError", "MigrationError", "migrate", "split_statements"]
