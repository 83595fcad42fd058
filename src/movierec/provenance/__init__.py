"""Lineage of a recommendation: its model, code and data, as values."""
