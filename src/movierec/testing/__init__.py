"""In-memory ports, for tests; shipped to no Lambda."""
