"""The local stack: PostgreSQL, two Valkey servers, a Supabase-compatible gateway and a mail inbox.

For development and tests only; it refuses to run with APP_ENV=production.
"""
