"""The long-running parts of a run: emulator, Kafka broker, workers."""
