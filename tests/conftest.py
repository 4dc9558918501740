"""The fixtures of all tests; tests/kit defines them."""

import pytest

# Modules of the kit that contain asserts but are not plugins.
pytest.register_assert_rewrite(
    *(f"kit.{name}" for name in ("away", "cached_reads", "mails", "outside_edits", "secrets"))
)

pytest_plugins = [
    "kit.concerning",
    "kit.clock",
    "kit.summary",
    "kit.servers",
    "kit.certificates",
    "kit.application",
    "kit.front",
    "kit.people",
    "kit.mail",
    "kit.proofs",
    "kit.valkeys",
    "kit.system",
    "kit.replicas",
    "kit.own_database",
    "kit.proxy",
    "kit.things",
    "kit.posts",
    "kit.files",
    "kit.clamd",
    "kit.rows",
    "kit.attacks",
    "kit.jobs",
    "kit.attacked",
    "kit.pages",
    "kit.live",
]
