"""Bundled configurations: one YAML file a matrix."""
