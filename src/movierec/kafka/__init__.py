"""The door to Kafka that the stack and the simulated site share."""
