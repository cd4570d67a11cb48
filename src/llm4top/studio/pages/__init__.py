"""One file a page. Each has ``register(context)``, which joins it to the frame."""
