"""`./app bench --jobs`: jobs a second and CPU time a job, beside a bare Celery task."""
