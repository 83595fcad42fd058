"""Kafka administration shared by the stack and the simulated site."""
