"""From one recommendation back to model, code and data, as values."""
