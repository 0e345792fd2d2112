"""Running a submitted attack again: in a sandbox that holds the observation and nothing else."""

from gifd_bench.leaderboard.rerun.answer import Answer
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunRefused
from gifd_bench.leaderboard.rerun.order import Order, RerunLimits
from gifd_bench.leaderboard.rerun.rerun import attack_again

__all__ = ["Answer", "Order", "RerunFailed", "RerunLimits", "RerunRefused", "attack_again"]
