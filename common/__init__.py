"""The ground floor: what tasks, priors, benchmark and leaderboard all stand on."""
