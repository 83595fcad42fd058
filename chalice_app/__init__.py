"""The recommendation API; Chalice imports its modules as `app` and `chalicelib`."""
