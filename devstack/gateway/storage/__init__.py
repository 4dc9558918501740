"""Supabase Storage's part of the gateway: buckets and files, with bytes in the stack's folder."""

from devstack.gateway.storage.app import StorageServer

__all__ = ["StorageServer"]
