"""Definitions that every layer may use: caller, durations, backoff, request id; no I/O."""
