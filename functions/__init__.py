"""The Lambda functions, one folder each; none imports another."""
