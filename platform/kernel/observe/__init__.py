"""Logs, metrics, readiness and heartbeats: how operators see what the processes do."""
