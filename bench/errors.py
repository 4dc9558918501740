"""What makes figures worthless."""


class BenchError(Exception):
    """One sentence for a person: what went wrong, so that there is no figure."""
