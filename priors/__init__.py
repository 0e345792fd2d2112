"""Generative priors behind one staged interface, their training and the bundled weights."""
