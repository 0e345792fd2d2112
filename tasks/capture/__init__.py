"""Observations of real systems: what their clients send, in whatever form a framework gives it."""
