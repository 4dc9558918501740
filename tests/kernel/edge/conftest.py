from kit.held_reads import origin, own_settings, valkey

__all__ = ["origin", "own_settings", "valkey"]
