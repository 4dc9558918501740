"""What tests stand on: real servers, the application, people and posts.

What must exist beforehand is arranged through Supabase itself, never through a slice, so that a
slice can be removed without breaking the tests of another.
"""
