"""Submissions: what is in one, reading one that anybody wrote, and writing one from a run."""
