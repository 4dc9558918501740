"""The benchmark's error."""


class BenchError(Exception):
    """One sentence for a person: the reason why there are no figures."""
