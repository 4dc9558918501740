"""What slices share: entities, events and errors; no behaviour, no I/O."""
