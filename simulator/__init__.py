"""A simulated streaming site: users with hidden preferences, films, APIs and an event log."""
