"""The ports on AWS: boto3 and Delta Lake are imported here and nowhere else."""
