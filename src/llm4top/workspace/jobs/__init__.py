"""Background jobs: the queue, its workers and what each kind of job does."""
