"""Earlier trials with known outcome that are like a trial, and how they ended."""
