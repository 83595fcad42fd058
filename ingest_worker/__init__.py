"""Ingest the site's log lines from Kafka into the lake, exactly once."""
