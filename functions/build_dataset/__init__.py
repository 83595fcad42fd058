"""From the lake to a data set: the first step of retraining."""
