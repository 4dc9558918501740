"""The entities, events and errors of the kinds."""
