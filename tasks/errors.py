"""The error of `tasks` that is meant for a person to read."""

from __future__ import annotations

from gifd_bench.common.errors import UserError


class TaskError(UserError):
    """Data, a file or a setting of a task is wrong; the message is one line that says what and where."""
