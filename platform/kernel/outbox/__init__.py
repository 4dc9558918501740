"""The outbox: the database writes events, the relay forwards them; beat adds due slots."""
