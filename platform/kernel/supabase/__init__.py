"""Supabase through handles of different types, so that mixing them up is a type error.

- `AuthApi`: Supabase Auth, without a session.
- `AuthAdmin`: Supabase Auth with the secret key.
- `AsCaller`: tables and functions as the caller; row security applies.
- `AsService`: tables and functions with the secret key; row security does not apply.
- `StorageAsCaller`, `StorageAsService`: objects in Supabase Storage, with the same rights.

`refusals` turns what Supabase Auth refuses into a slice's own errors.
"""

from kernel.supabase.agreement import Agreement
from kernel.supabase.auth import AuthAdmin, AuthApi, SignOutScope
from kernel.supabase.auth_errors import MailLimitReached, SecondFactorRequired
from kernel.supabase.http import SupabaseHttp
from kernel.supabase.probe import Probe
from kernel.supabase.refusals import AuthRefusal, AuthSession, DatabaseRefusal, refusals
from kernel.supabase.rest import Account, AsCaller, AsService
from kernel.supabase.storage import (
    DOWNLOAD_SECONDS,
    StorageAsCaller,
    StorageAsService,
    StoredObject,
    UploadTarget,
)

__all__ = [
    "DOWNLOAD_SECONDS",
    "Account",
    "Agreement",
    "AsCaller",
    "AsService",
    "AuthAdmin",
    "AuthApi",
    "AuthRefusal",
    "AuthSession",
    "DatabaseRefusal",
    "MailLimitReached",
    "Probe",
    "SecondFactorRequired",
    "SignOutScope",
    "StorageAsCaller",
    "StorageAsService",
    "StoredObject",
    "SupabaseHttp",
    "UploadTarget",
    "refusals",
]
