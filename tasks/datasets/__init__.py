"""Datasets, from which targets are drawn."""
