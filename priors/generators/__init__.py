"""Generator networks, each with the Prior that takes it apart."""
