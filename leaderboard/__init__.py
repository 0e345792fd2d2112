"""The leaderboard: protocols, submissions, their verification, and the board.

What is submitted are reconstructions, not numbers: everything that the board shows is computed here, from
them, by anyone who likes to.
"""

from leaderboard.matching import UpdateDistance
from leaderboard.observation_set import ObservationSet, checksum
from leaderboard.submission.reconstruction import read_answer

__all__ = ["ObservationSet", "UpdateDistance", "checksum", "read_answer"]
