"""Generator networks, each with the prior that takes it apart."""
