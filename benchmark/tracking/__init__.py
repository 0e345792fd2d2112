"""Trackers, to which the curves and scores of a run also go."""
