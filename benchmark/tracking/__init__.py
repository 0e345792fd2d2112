"""Trackers: where a run's curves and scores go besides its own folder."""
