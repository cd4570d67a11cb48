"""Data sets: labelled trials with a split, their card, and how they are made."""
