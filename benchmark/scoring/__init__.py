"""Scoring: the only place where a reconstruction meets the truth."""
