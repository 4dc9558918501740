"""Applies supabase/migrations to a database: for `./app migrate` and for the local stack."""

from migrate.files import HistoryError, MigrationError, split_statements
from migrate.migrations import NO_ADDRESS, Patience, migrate, pending

__all__ = [
    "NO_ADDRESS",
    "HistoryError",
    "MigrationError",
    "Patience",
    "migrate",
    "pending",
    "split_statements",
]
