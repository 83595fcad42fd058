"""Release notices, from the topic to a chat."""
