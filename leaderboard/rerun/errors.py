"""Why there is no answer from a rerun."""

from __future__ import annotations

from gifd_bench.leaderboard.errors import LeaderboardError


class RerunRefused(LeaderboardError):
    """Nothing of the submission has run: there is no sandbox here; the message says what to do."""


class RerunImpossible(LeaderboardError):
    """There is no registered attack of the submission's name and options in this version; nothing was
    attacked."""


class RerunFailed(LeaderboardError):
    """The submitted attack gave no valid answer; the message says in one line what it did."""
