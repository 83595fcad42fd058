"""Train a model artifact on a data set: the second step of retraining."""
