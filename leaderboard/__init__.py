"""The leaderboard: protocols, submissions, their verification, and the board.

What is submitted are reconstructions, not numbers: everything that the board shows is computed here, from
them, by anyone who likes to.
"""
