"""Running and scoring attacks: the matrix, results, reports, and the command line."""
