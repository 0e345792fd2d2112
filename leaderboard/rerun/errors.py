"""Why there is no answer from a rerun."""

from __future__ import annotations

from gifd_bench.leaderboard.errors import LeaderboardError


class RerunRefused(LeaderboardError):
    """Nothing of the submission has run, because there is no sandbox here; the message says what to do."""


class RerunImpossible(LeaderboardError):
    """This version has no registered attack with the submission's name and options.

    Nothing was attacked.
    """


class RerunFailed(LeaderboardError):
    """The submitted attack gave no valid answer; the message says in one line what it did."""
