"""The upkeep of the lake, once an hour."""
