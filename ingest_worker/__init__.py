"""Kafka to the lake: the site's log lines become rows, each exactly once."""
