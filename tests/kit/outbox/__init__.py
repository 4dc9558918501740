"""A relay with jobs and cached reads, for tests of the outbox."""
