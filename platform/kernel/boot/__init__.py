"""How processes are built: discovery of features, services, the application, relay and beat."""
