"""The outbox: events that the database wrote, carried on by the relay; beat adds due slots."""
