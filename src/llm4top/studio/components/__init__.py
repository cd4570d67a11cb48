"""What the pages about forecasts are made of."""
