"""One folder a use case; docs/ARCHITECTURE.md says how to add one by copying."""
