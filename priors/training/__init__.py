"""Training a prior on your own images."""
