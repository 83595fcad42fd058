"""Data sets, model artifacts, ranking and offline metrics: all that the API needs."""
