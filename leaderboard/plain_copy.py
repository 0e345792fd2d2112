"""Copying a file of a stranger's folder, which may change in the meantime."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from gifd_bench.common.errors import one_line
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.observation_set import checksum


def copy_plain(source: Path, target: Path, digest: str | None = None) -> str:
    """Copy the content of a file that is not a link, and hash what was copied.

    Args:
        source: the file, whatever it may have become since it was checked.
        target: a path in a folder to which nobody else writes.
        digest: the SHA-256 that it must have; `None` for any.

    Returns:
        The SHA-256 of the copy.

    Raises:
        LeaderboardError: it is a link, is not a file, or has other content.
    """
    try:
        # A stranger's permissions are not kept, a link is not followed, and a pipe is not waited for.
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise LeaderboardError(
            f"{source}: has changed since it was verified ({one_line(error)})"
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LeaderboardError(f"{source}: has changed since it was verified (no plain file)")
    with os.fdopen(descriptor, "rb") as file, target.open("xb") as copy:
        shutil.copyfileobj(file, copy)
    found = checksum(target)
    if digest is not None and found != digest:
        raise LeaderboardError(f"{source}: has changed since it was verified; verify it again")
    return found
