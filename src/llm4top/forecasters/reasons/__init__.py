"""What moves a forecast: Shapley values of sections and sentences, and features of the parts."""
