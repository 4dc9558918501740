"""Builds the processes: discovery of slices, services, the application, relay and beat."""
