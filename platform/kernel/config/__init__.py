"""Settings: read once from the environment, checked together, explained in .env.example."""
