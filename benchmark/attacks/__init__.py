"""Attacks: one file for each."""
