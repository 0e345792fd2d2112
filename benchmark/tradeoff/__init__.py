"""What each strength of a defense hides, and what it costs in accuracy."""
