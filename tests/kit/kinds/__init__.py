"""The kinds of slices that `./app new --kind` begins from.

Each folder is a slice like those in features/. Its tests are in tests/kinds, and its part of a
migration in tests/kinds/sql. They import relatively, because they are `kit.kinds` here and
`features` in their copies. tests/cli/test_new.py copies each kind and runs its tests in the copy.
"""
