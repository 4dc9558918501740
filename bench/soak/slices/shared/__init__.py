"""The events of the soak."""
