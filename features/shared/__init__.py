"""The words that slices share: entities and errors; no behaviour, no I/O."""
