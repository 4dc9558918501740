"""`./app soak`: thousands of jobs on the local stack, while its processes are killed at random."""
