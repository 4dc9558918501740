"""What tests are built on: real servers, the application, people and posts.

Tests create existing data through Supabase itself, never through a slice. So a slice can be removed
without breaking the tests of another slice.
"""
