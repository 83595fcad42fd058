"""LocalStack's Lambda without Docker: each execution environment is a process of its own.

LocalStack does versions, aliases, weights, concurrency, retries, event sources and permissions.
This package adds the execution environment (`sandbox`), behind LocalStack's executor interface
(`executor`), logs and metrics as Lambda writes them, and patches of LocalStack that these need.
"""
