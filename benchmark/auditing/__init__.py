"""Auditing one update: a portfolio of attacks, a verdict in words, and one page that says it."""
