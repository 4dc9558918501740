"""The fixtures of all tests; what they are made of is in tests/kit."""

pytest_plugins = [
    "kit.servers",
    "kit.application",
    "kit.front",
    "kit.people",
    "kit.posts",
    "kit.mail",
    "kit.valkeys",
    "kit.system",
    "kit.own_database",
    "kit.jobs",
    "kit.summary",
    "kit.attacked",
]
