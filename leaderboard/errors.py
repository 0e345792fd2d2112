"""The error of this package that is meant for a person to read."""

from __future__ import annotations

from benchmark.errors import BenchmarkError


class LeaderboardError(BenchmarkError):
    """A protocol, submission or entry is wrong; the message is one line that says what and where."""
