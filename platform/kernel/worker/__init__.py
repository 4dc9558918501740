"""The worker process: Celery's worker with our shutdown, and the event loop that runs jobs."""
