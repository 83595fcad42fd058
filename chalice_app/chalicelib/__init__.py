"""The API's answers, and the metrics and logs of its requests."""
