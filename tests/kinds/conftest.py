"""These tests run in copies: `./app new` puts them into tests/features."""

collect_ignore_glob = ["*"]
