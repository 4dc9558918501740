"""The slices that tests of the platform stand on: no test of it needs one of the application.

They are discovered as the application's own are, as `kit.slices` in the tests' process and as
`features` in processes that tests start (see kit/entry.py). So they import each other relatively.
"""
