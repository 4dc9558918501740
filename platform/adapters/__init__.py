"""Yours: one module for each system outside. docs/how-to/outside-api.md says how to add one."""
