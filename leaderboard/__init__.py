"""The leaderboard: protocols, submissions, their verification, and the board.

Reconstructions are submitted, and not numbers: everything that the board shows is computed from them here,
and anybody can compute it again.
"""
