"""State that survives a restart of LocalStack's open edition, for all services."""
