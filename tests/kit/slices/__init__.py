"""The slices for tests of the platform, so that no such test needs a slice of the application.

They are discovered like the application's own: as `kit.slices` in the tests' process, and as
`features` in processes that tests start (see kit/entry.py). So they use relative imports.
"""
