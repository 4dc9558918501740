"""The benchmark of the relay."""
