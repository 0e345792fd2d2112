"""What tasks, priors, benchmark and leaderboard all need: files, errors, registries, hashes."""
