"""Datasets that targets are drawn from, by name."""
