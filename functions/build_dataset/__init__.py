"""Build a data set from the lake: the first step of retraining."""
