"""Applies supabase/migrations to a database: for `./app migrate` and for the local stack."""

from migrate.files import HistoryError, MigrationError, split_statements
from migrate.migrations import Patience, migrate, pending

__all__ = [
    "HistoryError",
    "MigrationError",
    "Patience",
    "migrate",
    "pending",
    "split_statements",
]
