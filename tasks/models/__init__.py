"""Victim models, by name."""
