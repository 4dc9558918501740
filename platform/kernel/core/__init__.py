"""What every storey may use: the caller, durations, backoff and the request's id; no I/O."""
