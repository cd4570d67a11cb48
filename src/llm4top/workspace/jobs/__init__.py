"""Background jobs: the queue, the worker and what each kind of run does."""
