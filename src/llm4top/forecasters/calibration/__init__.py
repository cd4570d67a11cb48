"""From answer logits to calibrated probabilities with intervals."""
