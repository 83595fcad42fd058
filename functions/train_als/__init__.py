"""From a data set to a model artifact: the second step of retraining."""
