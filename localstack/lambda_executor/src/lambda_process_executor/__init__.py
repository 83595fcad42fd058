"""LocalStack's Lambda without Docker: each execution environment is a process of its own."""
