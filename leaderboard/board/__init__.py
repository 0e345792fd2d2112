"""The board: a static site of every track, that works from disk and asks for nothing else."""
