"""The event of the benchmark."""
