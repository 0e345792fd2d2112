"""The board: a static site of every track, that works from disk and asks for nothing else."""

from gifd_bench.leaderboard.board.bundled import build_board

__all__ = ["build_board"]
