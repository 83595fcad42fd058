"""Implementations of the ports on AWS: only this package imports boto3 and Delta Lake."""
