"""Tastes from text: what users write and what catalogs say, in a model's factor space."""
