"""The worker process: Celery's worker with our shutdown, and an event loop for async jobs."""
