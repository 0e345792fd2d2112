"""Running a submitted attack again: in a sandbox that holds the observation and nothing else."""

from leaderboard.rerun.answer import Answer
from leaderboard.rerun.errors import RerunFailed, RerunRefused
from leaderboard.rerun.order import Order, RerunLimits
from leaderboard.rerun.rerun import attack_again

__all__ = ["Answer", "Order", "RerunFailed", "RerunLimits", "RerunRefused", "attack_again"]
