"""Attacks, by name: one file each."""
