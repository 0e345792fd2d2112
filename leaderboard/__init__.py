"""The leaderboard: protocols, submissions, their verification, and the board.

What is submitted are reconstructions, not numbers: everything that the board shows is computed here, from
them, by anyone who likes to.
"""

from gifd_bench.leaderboard.matching import UpdateDistance
from gifd_bench.leaderboard.observation_set import ObservationSet, checksum
from gifd_bench.leaderboard.submission.reconstruction import read_answer

__all__ = ["ObservationSet", "UpdateDistance", "checksum", "read_answer"]
