"""The upkeep of the lake, once a day."""
