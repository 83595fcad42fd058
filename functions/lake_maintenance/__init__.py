"""Scheduled maintenance of the lake's tables."""
