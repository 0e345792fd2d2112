"""Training a prior on one's own images."""
