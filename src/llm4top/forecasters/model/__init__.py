"""The language model behind its answer head."""
