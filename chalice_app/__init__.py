"""The API. Chalice runs it from this folder: modules are imported as `app` and `chalicelib`."""
