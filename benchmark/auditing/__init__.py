"""Auditing one update: several attacks, a verdict in words, and a page that presents it."""
