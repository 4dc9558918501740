"""A Supabase-compatible gateway: /auth/v1 and /rest/v1 in front of a local PostgreSQL."""
