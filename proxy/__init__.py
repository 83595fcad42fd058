"""Recommendation proxy: answers the site within a deadline, whatever the API does.

`python -m proxy` listens on port 8082, asks the recommendation API, and falls back to the last
popular list when the API is late, broken or gone. Every recommendation that it serves is journalled
on disk first, and written to the lake's `served` table exactly once.
"""
