"""What a job may raise so that the platform knows how to go on."""


class Permanent(Exception):
    """Another try would fail the same way: the run fails at once, without retries."""
