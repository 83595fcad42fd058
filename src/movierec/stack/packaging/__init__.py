"""Lambda packages, reproducible byte for byte."""
