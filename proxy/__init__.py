"""The front door: answers the site in time, whatever happens behind it.

`python -m proxy` listens on port 8082, asks the recommendation API, and falls back to the last
popular list when the API is late, broken or gone. Every recommendation that it serves is written
to a journal on disk and shipped to the lake's `served` table, exactly once.
"""
