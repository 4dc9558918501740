"""Your adapters: one module for each external system. See docs/how-to/outside-api.md."""
