"""The board: a static site of every track, which works from disk and loads nothing else."""
