"""Commands of the leaderboard, one file for each, with `run(arguments) -> exit status`."""
