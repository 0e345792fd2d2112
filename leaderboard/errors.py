"""The error of `leaderboard` that is meant for a person to read."""

from __future__ import annotations

from gifd_bench.common.errors import UserError


class LeaderboardError(UserError):
    """A protocol, submission or entry is wrong; the message is one line that says what and where."""
