"""The streaming site: people, films, their tastes, and the log that they leave."""
